"""The demonstration's fleet on a running stack: added, filed day by day, trained on what was filed.

All of it goes the way that a plant's readings go: through bucket, DAGs and ledger.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path

from presagio import machine
from presagio.errors import DataError, NotFoundError, StackError
from presagio.ingest.checking import check_file
from presagio.ingest.filing import Intake
from presagio.ingest.upload import Uploaded, upload, wait_for_receipt
from presagio.jobs.fast_motion import history
from presagio.jobs.fleets import add_fleet
from presagio.jobs.promote import promote
from presagio.jobs.train import choose_dataset, train
from presagio.lifecycle.promotion import Promoter
from presagio.machine.event_log import EVENTS
from presagio.machine.learning import MICROSECONDS
from presagio.machine.spec import MachineSpec, load_spec
from presagio.settings import Settings
from presagio.storage.alarm_cases import AlarmCase
from presagio.storage.fleets import find_fleet
from presagio.storage.promotions import RecordedDecision
from presagio.storage.receipt import Receipt
from presagio.training.datasets.curated import read_curated
from presagio.training.datasets.dataset import Dataset
from presagio.training.train import TrainedModel

FLEET = "demo_engines"
_HISTORY_UNITS = 18
# The DAGs of a fleet that was just added come when Airflow reads its files again.
_FILED_LIMIT_S, _SCORED_LIMIT_S = 240.0, 120.0
_POLL_S = 0.3
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class History:
    """Files of what the plant had before: readings of engines that have failed, and when they did.

    Attributes
    ----------
    readings, failures
        CSV files.
    units
        How many engines.
    """

    readings: Path
    failures: Path
    units: int

    @classmethod
    def write(cls, spec: MachineSpec, folder: Path) -> "History":
        """Write both files into a folder: the same ones each time."""
        made = cls(folder / "demo-history.csv", folder / "demo-failures.csv", _HISTORY_UNITS)
        readings, failures = history(spec, made.units)
        readings.write_csv(made.readings)
        failures.write_csv(made.failures)
        return made


def add_demo_fleet(settings: Settings) -> bool:
    """Have the deployment serve the fleet; return whether it was not there, or another one.

    Raises
    ------
    DataError
        If the deployment's settings name a fleet of this name.
    StackError
        If the API does not answer, or refuses.
    """
    try:
        if find_fleet(settings, FLEET).spec.digest == load_spec(FLEET).digest:
            return False
    except NotFoundError:
        pass
    with as_file(files(machine) / "specs" / f"{FLEET}.toml") as path:
        add_fleet(settings, path)
    return True


def train_first(
    promoter: Promoter, spec: MachineSpec, settings: Settings, past: History, *, who: str,
    progress: Progress,
) -> tuple[TrainedModel, RecordedDecision]:  # fmt: skip
    """Train a small model on the history, and let the gate decide on it.

    Raises
    ------
    RegistryError, StorageError
        If MLflow or the ledger fail.
    """
    dataset = choose_dataset(settings, spec, csv=past.readings, events=past.failures)
    return _train(dataset, promoter, spec, who, "the demo's first model", progress)


def retrain(
    promoter: Promoter, intake: Intake, past: History, *, who: str, progress: Progress
) -> tuple[TrainedModel, RecordedDecision]:
    """Train on the history and on all that the intake has filed, and let the gate decide on it.

    Raises
    ------
    DataError
        If a refused file keeps training from starting.
    RegistryError, StorageError
        If MLflow, store or ledger fail.
    """
    with past.readings.open("rb") as file:
        rows = check_file(file, intake.spec).accepted
    dataset = read_curated(intake, (rows, past.readings.name))
    return _train(dataset, promoter, intake.spec, who, "the demo learns from a failure", progress)


def _train(
    dataset: Dataset, promoter: Promoter, spec: MachineSpec, who: str, why: str, progress: Progress
) -> tuple[TrainedModel, RecordedDecision]:  # fmt: skip
    model, version = train(dataset, spec, promoter.registry, search="small", progress=progress)
    return model, promote(promoter, version.version, who=who, why=why)


@dataclass(frozen=True)
class Drop:
    """A file that was dropped into the bucket, and what came of it.

    Attributes
    ----------
    filed_s, scored_s
        Seconds from the drop to its receipt, and until it was scored.
    """

    receipt: Receipt
    filed_s: float
    scored_s: float


def send(intake: Intake, path: Path, *, is_log: bool = False) -> Uploaded:
    """Drop a file, or a log of events, into the bucket."""
    return upload(intake, path, name=f"{EVENTS if is_log else ''}{path.name}")


def wait_until_filed(intake: Intake, sent: Uploaded) -> Receipt:
    """Wait until the DAG has filed what was dropped.

    Raises
    ------
    DataError
        If it was set aside.
    StackError
        If it was not filed.
    """
    receipt = wait_for_receipt(intake, sent, timeout_s=_FILED_LIMIT_S, poll_s=_POLL_S)
    if receipt is None:
        raise StackError(
            f"csv_file_watcher_{FLEET} has not filed {sent.key} within {_FILED_LIMIT_S:.0f} s; "
            "see: presagio logs airflow-scheduler"
        )
    if receipt.outcome.verdict == "quarantined":
        raise DataError(f"{sent.key} was set aside; see: presagio receipts {receipt.id}")
    return receipt


def drop(intake: Intake, path: Path, *, is_log: bool = False) -> Drop:
    """Drop a file into the bucket, and wait until the DAGs have filed and scored it.

    Parameters
    ----------
    intake
        The fleet's.
    path
        The file.
    is_log
        Whether it is a log of events.

    Raises
    ------
    DataError
        If it was set aside.
    StackError
        If it was not filed or not scored.
    """
    began = time.monotonic()
    receipt = wait_until_filed(intake, send(intake, path, is_log=is_log))
    filed, arrivals = time.monotonic() - began, intake.ledger.arrivals()
    while arrivals.scored(receipt.id) is None:
        if time.monotonic() - began > filed + _SCORED_LIMIT_S:
            raise StackError(
                f"score_arrivals_{FLEET} has not scored receipt {receipt.id} within "
                f"{_SCORED_LIMIT_S:.0f} s; see: presagio logs airflow-scheduler"
            )
        time.sleep(_POLL_S)
    return Drop(receipt, filed, time.monotonic() - began)


def lead_days(spec: MachineSpec, case: AlarmCase, failed_at: datetime) -> float:
    """Return how many days before a failure an alarm was confirmed."""
    confirmed = math.nan if case.reading_time is None else case.reading_time
    return (failed_at.timestamp() * MICROSECONDS - confirmed) / spec.day
