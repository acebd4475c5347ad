"""Looks whether the newest readings are still like those that the champion was trained on.

When: by ``PRESAGIO_DRIFT_SCHEDULE``, once an hour by default.
What: ``presagio.jobs.drift``, the same as ``presagio drift``: population stability, KS and
chi-square of features and scores, a page in the data bucket, figures in MLflow, an alert to the log
and to ``PRESAGIO_ALERT_WEBHOOK``, once while the same drift holds. Drift does not fail the run.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

from presagio.settings import load_settings


@dag(
    schedule=CronTriggerTimetable(load_settings().drift_schedule, timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
    tags=["presagio", "models"],
)
def monitor_drift() -> None:
    """Look once."""

    @task
    def watch() -> dict[str, Any]:
        from presagio.jobs.drift import watch_drift  # noqa: PLC0415 - not at parse time

        watched = watch_drift()
        drifted = [] if watched.report is None else list(watched.report.drifted)
        undecided = [] if watched.report is None else list(watched.report.undecided)
        return {
            "summary": watched.summary, "drifted": drifted, "undecided": undecided,
            "page": watched.place,
        }  # fmt: skip

    watch()


monitor_drift()
