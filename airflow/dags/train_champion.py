"""Trains a challenger when there is enough to learn from, and makes it champion if the gate agrees.

When: new clean data came (asset ``presagio_clean_data``), and on ``PRESAGIO_TRAIN_SCHEDULE`` where
that is set. Nothing happens while fewer labelled rows are new than ``PRESAGIO_TRAIN_MIN_NEW_ROWS``.
What: ``presagio.jobs.train``: base rows and curated rows, search, evaluation, gate; then the API is
told. A file that was refused whole for its rows blocks it until it is looked at.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from presagio.errors import DataError
from presagio.orchestration import tasks
from presagio.settings import load_settings

_SETTINGS = load_settings()
_CLEAN_DATA = [Asset("presagio_clean_data")]
_SCHEDULE = (
    AssetOrTimeSchedule(
        assets=_CLEAN_DATA, timetable=CronTriggerTimetable(_SETTINGS.train_schedule, timezone="UTC")
    )
    if _SETTINGS.train_schedule
    else _CLEAN_DATA
)
_PARAMS = {
    "min_new_rows": Param(
        default=_SETTINGS.train_min_new_rows, type="integer", minimum=0,
        title="Labelled rows that must be new",
    ),
}  # fmt: skip


@dag(
    schedule=_SCHEDULE,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    params=_PARAMS,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["presagio", "models"],
)
def train_champion() -> None:
    """Count what is new, train and evaluate, tell the API."""

    @task
    def count_new_rows(params: dict[str, Any] | None = None) -> dict[str, int]:
        try:
            counted = tasks.count_new_rows((params or {}).get("min_new_rows"))
        except DataError as err:
            # Trying again would find the same file; somebody has to look at it.
            raise AirflowFailException(str(err)) from err
        if counted["new_rows"] < counted["wanted"]:
            raise AirflowSkipException(
                f"{counted['new_rows']} new labelled rows, {counted['wanted']} are wanted"
            )
        return counted

    @task(execution_timeout=timedelta(hours=2))
    def train_and_evaluate(run_id: str | None = None) -> dict[str, Any]:
        try:
            return tasks.retrain(run_id)
        except DataError as err:
            raise AirflowFailException(str(err)) from err

    @task
    def tell_api() -> dict[str, Any]:
        return tasks.announce_champion()

    count_new_rows() >> train_and_evaluate() >> tell_api()


train_champion()
