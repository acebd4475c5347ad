"""Puts small files together, of the curated data set and of recorded answers.

When: by ``PRESAGIO_COMPACT_SCHEDULE``, once a day by default.
What: ``presagio.jobs.compact``, the same as ``presagio compact``. Each row counts once at any time;
small files are removed ``PRESAGIO_COMPACT_KEEP_ORIGINALS_H`` later. One DAG a fleet.
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
        settings.named("compact"),
        schedule=CronTriggerTimetable(settings.compact_schedule, timezone="UTC"),
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
        tags=["presagio", "storage"],
    )
    def compact() -> None:
        """Put together what waits."""

        @task
        def put_together() -> dict[str, Any]:
            return tasks.compact(fleet)

        put_together()

    return compact()


for one in tasks.fleets_with_dags():
    make_dag(one)
