"""Trains a challenger when there is enough to learn from, and makes it champion if the gate agrees.

When: new clean data came (asset ``presagio_clean_data``), and on ``PRESAGIO_TRAIN_SCHEDULE`` where
that is set. Nothing happens while fewer labelled rows are new than ``PRESAGIO_TRAIN_MIN_NEW_ROWS``.
What: ``presagio.jobs.train``: base rows and curated rows, search, evaluation, gate; then the API is
told. The task ``sum_up`` returns what was trained and decided. That the gate does not promote a
version is a result, and no failure of the run. A file that was refused whole for its rows blocks it
until it is looked at. One DAG a fleet. The console's account may start it
(``PRESAGIO_AIRFLOW_CONSOLE_ROLE``).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from presagio.errors import DataError
from presagio.orchestration import tasks
from presagio.orchestration.access import console_access
from presagio.orchestration.queues import INTAKE, INTAKE_LIMIT, TRAIN, TRAIN_LIMIT
from presagio.settings import Settings


def _schedule(settings: Settings) -> Any:
    clean_data = [Asset(settings.named("presagio_clean_data"))]
    if not settings.train_schedule:
        return clean_data
    timetable = CronTriggerTimetable(settings.train_schedule, timezone="UTC")
    return AssetOrTimeSchedule(assets=clean_data, timetable=timetable)


def make_dag(settings: Settings) -> Any:
    """Make the DAG of one fleet."""
    fleet = settings.fleet
    params = {
        "min_new_rows": Param(
            default=settings.train_min_new_rows, type="integer", minimum=0,
            title="Labelled rows that must be new",
        ),
    }  # fmt: skip

    @dag(
        settings.named("train_champion"),
        schedule=_schedule(settings),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        params=params,
        access_control=console_access(settings),
        default_args={
            "retries": 2,
            "retry_delay": timedelta(seconds=30),
            "execution_timeout": INTAKE_LIMIT,
            "queue": INTAKE,
        },
        doc_md=__doc__,
        tags=["presagio", "models"],
    )
    def train_champion() -> None:
        """Count what is new, train and evaluate, tell the API."""

        @task
        def count_new_rows(params: dict[str, Any] | None = None, ti: Any = None) -> dict[str, int]:
            try:
                counted = tasks.count_new_rows((params or {}).get("min_new_rows"), fleet)
            except DataError as err:
                # Trying again would find the same file; somebody has to look at it.
                raise AirflowFailException(str(err)) from err
            if counted["new_rows"] < counted["wanted"]:
                why = tasks.why_nothing_is_trained(counted)
                ti.xcom_push(key="summary", value=why)
                raise AirflowSkipException(why)
            return counted

        @task(execution_timeout=TRAIN_LIMIT, queue=TRAIN, pool=settings.train_pool)
        def train_and_evaluate(run_id: str | None = None) -> dict[str, Any]:
            try:
                return tasks.retrain(run_id, fleet)
            except DataError as err:
                raise AirflowFailException(str(err)) from err

        @task
        def tell_api() -> dict[str, Any]:
            return tasks.announce_champion(fleet)

        @task
        def sum_up(trained: dict[str, Any], served: dict[str, Any]) -> str:
            return tasks.sum_up_training(trained, served)

        # What is typed as a dict is an XCom argument here.
        trained: Any = train_and_evaluate()
        served: Any = tell_api()
        count_new_rows() >> trained >> served
        sum_up(trained, served)

    return train_champion()


for one in tasks.fleets_with_dags():
    make_dag(one)
