"""From an artifact folder to a predictor that may answer: tried, loaded, compared, rehearsed."""

from pathlib import Path

from presagio.errors import InvalidArtifactError
from presagio.inference.predictor import Predictor, check_inputs, load_predictor
from presagio.inference.rehearsal import rehearse
from presagio.inference.trial import try_once
from presagio.machine.spec import MachineSpec
from presagio.pages.model_card import card_page

_SHOWN = 200


def check_admissible(predictor: Predictor, spec: MachineSpec) -> None:
    """Check that a loaded model can do all that is asked of one that serves.

    Parameters
    ----------
    predictor
        The model.
    spec
        The machine whose readings it is to take.

    Raises
    ------
    InvalidArtifactError
        If its inputs are others, a rehearsal fails, or no page can be made of its card.
    """
    check_inputs(predictor, spec)
    rehearse(predictor)
    try:
        card_page(predictor.artifact.card)
    except Exception as err:
        # What stands in a card is free.
        raise InvalidArtifactError(
            f"{predictor.artifact.folder}: no page can be made of the model card: "
            f"{type(err).__name__}: {str(err)[:_SHOWN]}"
        ) from err


def admit(folder: Path, *, digest: str, spec: MachineSpec, limit_s: float) -> Predictor:
    """Load an artifact of any origin, after it was tried in a process of its own.

    Parameters
    ----------
    folder
        The artifact folder.
    digest
        The digest that it must have.
    spec
        The machine whose readings it is to take.
    limit_s
        Seconds that the trial may take; none where these bytes have passed it before.

    Returns
    -------
    Predictor
        A model that may serve.

    Raises
    ------
    InvalidArtifactError
        If it may not.
    """
    try_once(folder, digest=digest, limit_s=limit_s)
    predictor = load_predictor(folder, digest=digest)
    check_admissible(predictor, spec)
    return predictor
