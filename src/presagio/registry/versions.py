"""What is said of a registered version: its name, its digest, where its tables are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Alias = Literal["champion", "challenger"]
# What became of a version at the gate: ``forced`` did not pass, and somebody overruled that.
GateOutcome = Literal["passed", "not promoted", "forced"]

# Folders beside a version: what serving loads, what the gate compares on, what drift is told from.
ARTIFACT = "artifact"
HOLDOUT = "holdout"
REFERENCE = "reference"
# The page among the artifacts of the run.
CARD = "card.html"

DIGEST_TAG = "presagio.artifact_sha256"
DATA_TAG = "presagio.data_sha256"
# The highest id among the receipts that a version was trained on.
NEWEST_RECEIPT_TAG = "presagio.newest_receipt"

# The outcome at the gate; with ``_who`` and ``_why`` behind it, who asked and the reasons.
GATE_TAG = "presagio.gate"

# What a scikit-learn copy of a model of ours may be made of besides what skops itself trusts.
TRUSTED_TYPES = (
    "presagio.training.detectors.alarm.FailureAlarm",
    "presagio.training.detectors.exact.ExactSVM",
    "presagio.training.detectors.features.FeatureSet",
    "presagio.training.detectors.plans.DetectorPlan",
    "presagio.training.detectors.scaling.Squash",
    "presagio.training.detectors.streamed.StreamedSVM",
)


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model.

    Attributes
    ----------
    digest
        Its serving artifact's; None for a version that was registered by other means.
    source
        Where MLflow says that it comes from, such as ``models:/m-1f2e``.
    """

    name: str
    version: str
    run_id: str
    digest: str | None
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class ListedVersion:
    """A version with what a list of versions shows: aliases, metrics of its run, tags of both.

    Attributes
    ----------
    experiment
        Id of the experiment that its run is in; empty of a version without a run.
    """

    version: RegisteredVersion
    aliases: tuple[str, ...]
    created_at: datetime
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    experiment: str = ""
