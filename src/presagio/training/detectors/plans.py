"""What a detector is to be made of, and which class makes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from presagio.training.detectors.detector import Detector
from presagio.training.detectors.exact import ExactSVM
from presagio.training.detectors.features import FeatureSet
from presagio.training.detectors.streamed import StreamedSVM

Method = Literal["exact", "streamed"]
METHODS: Mapping[Method, Callable[..., Detector]] = {"exact": ExactSVM, "streamed": StreamedSVM}


@dataclass(frozen=True)
class DetectorPlan:
    """What one detector is made of.

    Attributes
    ----------
    label
        The failure mode that it detects, or the target.
    features
        What it sees.
    parameters
        Of its estimator, as :class:`sklearn.svm.SVC` names them.
    method
        ``exact``, or ``streamed`` for more rows than that can learn from.
    """

    label: str
    features: FeatureSet
    parameters: Mapping[str, Any] = field(default_factory=dict)
    method: Method = "exact"


def build_detector(plan: DetectorPlan) -> Detector:
    """Build an untrained detector."""
    return METHODS[plan.method](sharpness=plan.features.sharpness, **plan.parameters)
