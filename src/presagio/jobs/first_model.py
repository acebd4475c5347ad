"""How far a new fleet is: files, first model; and starting its training before its time."""

from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from presagio.fleet import Fleet
from presagio.jobs.airflow_runs import AirflowRuns
from presagio.storage.audit import FAILED, AuditLog
from presagio.storage.ledger import Ledger
from presagio.storage.promotions import Decision, Promotions
from presagio.storage.receipt import Receipt

_DAG, _ACTION = "train_champion", "fleet.train"
Training = Literal["none", "queued", "running", "success", "failed", "unknown"]


@dataclass(frozen=True)
class FirstModel:
    """How far a fleet is.

    Attributes
    ----------
    newest
        The receipt of the newest file of readings; None where none was filed.
    rows
        Rows that were taken since the last evaluated model, as far as they count.
    wanted
        So many have to be new before training begins by itself.
    refused
        That the newest version did not become champion; None where it did, or there is none.
    champion
        Version of the champion by the ledger; None where there is none.
    dag
        The DAG that trains.
    """

    newest: Receipt | None
    rows: int
    wanted: int
    refused: Decision | None
    champion: str | None
    dag: str


def dag_of(fleet: Fleet) -> str:
    """Return the name of the DAG that trains a fleet's models."""
    return fleet.settings.named(_DAG)


def first_model(ledger: Ledger, promotions: Promotions, fleet: Fleet) -> FirstModel:
    """Say how far a fleet is, by the ledger.

    Raises
    ------
    StorageError
        If the ledger cannot be reached.
    """
    settings, ledger = fleet.settings, ledger.of_fleet(fleet.settings.fleet)
    newest = ledger.receipts(limit=1)
    wanted = settings.train_min_new_rows
    rows = ledger.rows_after(
        settings.prefixes.bucket, promotions.newest_receipt(settings.model_name),
        wanted=max(wanted, 1), but_below=None,
    )  # fmt: skip
    decisions = promotions.history(settings.model_name, limit=50)
    champion = next((d.decision.version for d in decisions if d.decision.kind != "refusal"), None)
    last = decisions[0].decision if decisions else None
    refused = last if last is not None and last.kind == "refusal" else None
    return FirstModel(newest[0] if newest else None, rows, wanted, refused, champion, dag_of(fleet))


def can_start(fleet: Fleet) -> bool:
    """Tell whether the settings let this program ask Airflow for a run."""
    return fleet.settings.airflow_account is not None


def start_training(audit: AuditLog, fleet: Fleet, *, who: str) -> str:
    """Have Airflow train now, however few rows are new, and return the run's id.

    Raises
    ------
    StackError
        If Airflow does not answer, or does not know the DAG yet.
    SettingsError
        If there is no password for it.
    """
    dag, run = dag_of(fleet), f"presagio__{uuid4().hex}"
    with (
        AirflowRuns(fleet.settings) as runs,
        audit.change(
            who=who, scope="admin", action=_ACTION, target=f"fleet {fleet.name}",
            detail={"dag": dag, "run_id": run},
        ),
    ):  # fmt: skip
        return runs.start(dag, {"min_new_rows": 1}, run_id=run)


def training(audit: AuditLog, fleet: Fleet) -> Training:
    """Say what the run does that somebody has started last; ``none`` where nobody has.

    Raises
    ------
    StackError
        If Airflow does not answer.
    """
    entries = audit.entries(target=f"fleet {fleet.name}", limit=20)
    failed = {entry.detail["entry"] for entry in entries if entry.action == f"{_ACTION}{FAILED}"}
    begun = (entry for entry in entries if entry.action == _ACTION and entry.id not in failed)
    run = next((entry.detail["run_id"] for entry in begun), None)
    if run is None:
        return "none"
    with AirflowRuns(fleet.settings) as runs:
        state = runs.state(dag_of(fleet), str(run))
    known: dict[str, Training] = {
        "queued": "queued", "running": "running", "success": "success", "failed": "failed",
    }  # fmt: skip
    return known.get(state, "unknown")
