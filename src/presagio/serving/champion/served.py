"""A model that is served, and where it comes from."""

from dataclasses import dataclass
from typing import Literal

from presagio.errors import InvalidArtifactError
from presagio.inference.predictor import Predictor, check_inputs, fallback_folder, load_predictor
from presagio.inference.rehearsal import rehearse
from presagio.machine.spec import MachineSpec
from presagio.pages.model_card import card_page


@dataclass(frozen=True)
class Served:
    """A loaded model and where it comes from; replaced as a whole, so an answer has one version.

    Attributes
    ----------
    confirmed
        Whether the registry said at the last look that this is the champion.
    """

    predictor: Predictor
    model: str
    version: str
    source: Literal["registry", "cache", "fallback"]
    confirmed: bool
    run_id: str = ""

    @property
    def degraded(self) -> bool:
        """Whether this may not be the champion."""
        return not self.confirmed


def load_fallback(spec: MachineSpec) -> Served:
    """Load the artifact that ships with the package.

    Raises
    ------
    InvalidArtifactError
        If it is damaged, or was made for other inputs than the machine spec's.
    """
    predictor = load_predictor(fallback_folder())
    check_inputs(predictor, spec)
    rehearse(predictor)
    digest = predictor.artifact.digest[:12]
    return Served(predictor, "fallback", digest, "fallback", confirmed=False)


def check_page(predictor: Predictor) -> None:
    """Make the page of a model's card once, as ``/model/card`` does: what stands in it is free.

    Raises
    ------
    InvalidArtifactError
        If none can be made.
    """
    try:
        card_page(predictor.artifact.card)
    except Exception as err:
        raise InvalidArtifactError(
            f"{predictor.artifact.folder}: no page can be made of the model card: "
            f"{type(err).__name__}: {str(err)[:200]}"
        ) from err
