"""Scores what the intake has filed, by the champion; opens and closes alarms. Again and again.

When: as soon as a file has been filed, and there is a champion (looked for in the triggerer, no
worker waits). Filing does not wait for it, and what could not be scored is tried again later.
What: ``presagio.jobs.score_arrivals``, the same as ``presagio score-arrivals``. One DAG a fleet.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from presagio.errors import DataError
from presagio.orchestration import tasks
from presagio.orchestration.queues import INTAKE, INTAKE_LIMIT
from presagio.orchestration.waiting import WaitForArrivals
from presagio.settings import Settings


def make_dag(settings: Settings) -> Any:
    """Make the DAG of one fleet."""
    fleet = settings.fleet

    @dag(
        settings.named("score_arrivals"),
        schedule="@continuous",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        default_args={"retries": 5, "retry_delay": timedelta(seconds=10), "queue": INTAKE},
        doc_md=__doc__,
        tags=["presagio", "alarms"],
    )
    def score_arrivals() -> None:
        """Wait for filed objects, score them."""

        # Not of the waiting, which takes as long as it takes.
        @task(execution_timeout=INTAKE_LIMIT)
        def score() -> dict[str, Any]:
            try:
                return tasks.score_arrivals(fleet)
            except DataError as err:
                # The files are put off; trying again now would find none of them.
                raise AirflowFailException(str(err)) from err

        WaitForArrivals(task_id="wait_for_filed", fleet=fleet) >> score()

    return score_arrivals()


for one in tasks.fleets_with_dags():
    make_dag(one)
