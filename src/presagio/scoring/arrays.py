"""The one function that scores rows, whoever sends them: files, tensors, outcomes, windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.inference.alarm_modes import modes_of
from presagio.inference.predictor import Prediction, Predictor


@dataclass(frozen=True)
class ScoredRows(Prediction):
    """Predictions of ``n`` rows, and what each alarm is about; each array has shape ``(n,)``.

    Attributes
    ----------
    mode
        Of each alarm its likeliest failure mode, as text; None where there is no alarm, and for an
        alarm that no mode can be named for.
    """

    mode: NDArray[np.object_]


def score_rows(predictor: Predictor, inputs: NDArray[np.float64]) -> ScoredRows:
    """Score rows.

    Parameters
    ----------
    predictor
        The model.
    inputs
        Shape ``(n, k)``: the spec's inputs in order, numeric features in their units, then
        indicators as 0 or 1. There may be none.

    Returns
    -------
    ScoredRows
        One entry a row.
    """
    found = predictor.predict(inputs)
    mode = np.full(len(found.label), None, dtype=object)
    if found.label.any():
        mode[found.label] = modes_of(predictor, inputs[found.label])
    return ScoredRows(found.score, found.probability, found.label, mode)
