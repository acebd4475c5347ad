"""Have a model do once what requests will ask of it, before one of them does.

First calls allocate and take their time, so this also warms a model up.
"""

import numpy as np
from numpy.typing import NDArray

from presagio.errors import InvalidArtifactError
from presagio.inference.diagnosis import explain
from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec

_WARM_ROWS = 512
_ALONE = 3
# As for recorded examples: sums in single precision depend a little on how many rows there are.
_SAME = 1e-3


def _corners(spec: MachineSpec) -> NDArray[np.float64]:
    """Return the example of a spec with each feature at its lowest and highest value in turn.

    And without it, where it may be missing.
    """
    example = np.array([float(value) for value in spec.example.values()])
    rows = [example]
    for place, feature in enumerate(spec.features):
        values = feature.range or ()
        if feature.name in spec.optional_names:
            values = (*values, np.nan)
        for value in values:
            row = example.copy()
            row[place] = value
            rows.append(row)
    return np.stack(rows)


def _rehearse(predictor: Predictor) -> None:
    artifact = predictor.artifact
    corners = _corners(artifact.spec)
    together = predictor.check_rows(corners)
    for i in range(min(_ALONE, len(corners))):
        alone = predictor.check_rows(corners[i : i + 1])
        if not np.isclose(alone.score[0], together.score[i], rtol=_SAME, atol=_SAME):
            raise InvalidArtifactError(
                f"{artifact.folder}: a row has score {alone.score[0]:.6g} by itself and "
                f"{together.score[i]:.6g} among others"
            )
        if (score := predictor.predict_one(corners[i].tolist())[0]) != alone.score[0]:
            raise InvalidArtifactError(
                f"{artifact.folder}: the same row has score {alone.score[0]:.6g} and {score:.6g}"
            )
    if artifact.manifest.background:
        predictor.check_rows(artifact.manifest.background)
    predictor.check_rows(np.repeat(corners[:1], _WARM_ROWS, axis=0))
    predictor.check_rows(corners[:0])
    explain(predictor, corners[0], alarm=True)


def rehearse(predictor: Predictor) -> None:
    """Predict, diagnose and explain rows from all over the plausible range.

    Raises
    ------
    InvalidArtifactError
        If anything fails, or an answer is not finite or depends on the other rows.
    """
    try:
        _rehearse(predictor)
    except InvalidArtifactError:
        raise
    except Exception as err:
        raise InvalidArtifactError(
            f"{predictor.artifact.folder}: the model cannot be used: {type(err).__name__}: "
            f"{str(err)[:500]}"
        ) from err
