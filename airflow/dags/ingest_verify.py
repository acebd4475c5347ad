"""Compares the ledger with the buckets once a day, and repairs what can be repaired.

What: ``presagio.jobs.reconcile``, the same as ``presagio ingest verify``. The run fails when
differences are left, so that somebody looks; its log names each. One DAG a fleet.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from presagio.orchestration import tasks
from presagio.orchestration.queues import INTAKE, INTAKE_LIMIT
from presagio.settings import Settings

_PARAMS = {
    "repair": Param(default=True, type="boolean", title="Repair what can be; nothing is lost"),
    "deep": Param(default=False, type="boolean", title="Read every object, compare its SHA-256"),
}


def make_dag(settings: Settings) -> Any:
    """Make the DAG of one fleet."""
    fleet = settings.fleet

    @dag(
        settings.named("ingest_verify"),
        schedule="@daily",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        params=_PARAMS,
        default_args={
            "retries": 2,
            "retry_delay": timedelta(minutes=1),
            "execution_timeout": INTAKE_LIMIT,
            "queue": INTAKE,
        },
        doc_md=__doc__,
        tags=["presagio", "intake"],
    )
    def ingest_verify() -> None:
        """Compare, repair, and fail when something is left."""

        @task
        def compare(params: dict[str, Any] | None = None) -> dict[str, int]:
            wanted = params or {}
            # `mend` is what `repair` was called before.
            repair = wanted.get("mend", wanted["repair"])
            return tasks.reconcile(fleet, deep=wanted["deep"], repair=repair)

        compare()

    return ingest_verify()


for one in tasks.fleets_with_dags():
    make_dag(one)
