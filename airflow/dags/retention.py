"""Removes what is older than the settings say, and nothing that a model in use stands on.

When: by ``PRESAGIO_RETENTION_SCHEDULE``, once a day by default.
What: ``presagio.jobs.retention``, the same as ``presagio retention``. Without a setting
``PRESAGIO_RETAIN_…_DAYS`` everything stays. One DAG a fleet; the default fleet's also cleans
Airflow's and MLflow's databases, where it is given their addresses.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from presagio.orchestration import tasks
from presagio.orchestration.queues import INTAKE, INTAKE_LIMIT
from presagio.settings import Settings


def make_dag(settings: Settings) -> Any:
    """Make the DAG of one fleet."""
    fleet = settings.fleet

    @dag(
        settings.named("retention"),
        schedule=CronTriggerTimetable(settings.retention_schedule, timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        params={"dry_run": Param(default=False, type="boolean", title="Only count")},
        default_args={
            "retries": 2,
            "retry_delay": timedelta(minutes=1),
            "execution_timeout": INTAKE_LIMIT,
            "queue": INTAKE,
        },
        doc_md=__doc__,
        tags=["presagio", "storage"],
    )
    def retention() -> None:
        """Remove what is old."""

        @task
        def remove(params: dict[str, Any] | None = None) -> dict[str, Any]:
            return tasks.retain(fleet, dry_run=bool((params or {}).get("dry_run")))

        @task
        def clean_databases(params: dict[str, Any] | None = None) -> list[str]:
            return tasks.clean_databases(dry_run=bool((params or {}).get("dry_run")))

        remove()
        if not fleet:
            clean_databases()

    return retention()


for one in tasks.fleets_with_dags():
    make_dag(one)
