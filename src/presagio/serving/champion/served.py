"""A model that is served, and where it comes from."""

from dataclasses import dataclass
from typing import Literal

from presagio.inference.admission import check_admissible
from presagio.inference.artifact import read_artifact
from presagio.inference.predictor import Predictor, fallback_folder, load_predictor
from presagio.machine.spec import MachineSpec
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.agreement import names_of


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
    def names(self) -> str:
        """What tells it from all other versions; empty for the model that ships with Presagio."""
        if self.source == "fallback":
            return ""
        return names_of(RegisteredVersion(self.model, self.version, self.run_id, None))

    @property
    def degraded(self) -> bool:
        """Whether this may not be the champion."""
        return not self.confirmed


def has_fallback(spec: MachineSpec) -> bool:
    """Tell whether the artifact that ships with the package takes the readings of a machine.

    Raises
    ------
    InvalidArtifactError
        If it is damaged.
    """
    return read_artifact(fallback_folder()).manifest.inputs == spec.model_inputs


def load_fallback(spec: MachineSpec) -> Served:
    """Load the artifact that ships with the package.

    Raises
    ------
    InvalidArtifactError
        If it is damaged, or was made for other inputs than the machine spec's.
    """
    predictor = load_predictor(fallback_folder())
    check_admissible(predictor, spec)
    digest = predictor.artifact.digest[:12]
    return Served(predictor, "fallback", digest, "fallback", confirmed=False)
