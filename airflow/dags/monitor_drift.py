"""Looks whether the newest readings are still like those that the champion was trained on.

When: by ``PRESAGIO_DRIFT_SCHEDULE``, once an hour by default.
What: ``presagio.jobs.monitor``, the same as ``presagio drift``: population stability, KS and
chi-square of features and scores, a page in the data bucket, metrics in MLflow, an alert to the log
and to ``PRESAGIO_ALERT_WEBHOOK``, once while the same drift holds. Drift does not fail the run. One
DAG a fleet.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

from presagio.orchestration import tasks
from presagio.orchestration.queues import INTAKE, INTAKE_LIMIT
from presagio.settings import Settings


def make_dag(settings: Settings) -> Any:
    """Make the DAG of one fleet."""
    fleet = settings.fleet

    @dag(
        settings.named("monitor_drift"),
        schedule=CronTriggerTimetable(settings.drift_schedule, timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        default_args={
            "retries": 2,
            "retry_delay": timedelta(minutes=1),
            "execution_timeout": INTAKE_LIMIT,
            "queue": INTAKE,
        },
        doc_md=__doc__,
        tags=["presagio", "models"],
    )
    def monitor_drift() -> None:
        """Look once."""

        @task
        def watch() -> dict[str, Any]:
            return tasks.watch_drift(fleet)

        watch()

    return monitor_drift()


for one in tasks.fleets_with_dags():
    make_dag(one)
