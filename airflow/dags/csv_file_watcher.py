"""Files every CSV file that lands below the incoming prefix; runs again and again.

When: as soon as there is a file (looked for in the triggerer, no worker waits).
What: ``presagio.orchestration.sweep`` takes all files present.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from presagio.orchestration.waiting import WaitForIncomingCsv
from presagio.settings import Prefixes, load_settings


def _param(value: str, title: str) -> Param:
    return Param(value, type="string", minLength=1, title=title)


_DEFAULTS = load_settings().prefixes
_PARAMS = {
    "bucket": _param(_DEFAULTS.bucket, "Bucket"),
    "incoming": _param(_DEFAULTS.incoming, "Prefix that files land in"),
    "processed": _param(_DEFAULTS.processed, "Prefix for clean rows"),
    "quarantine": _param(_DEFAULTS.quarantine, "Prefix for bad rows and unreadable files"),
    "archive": _param(_DEFAULTS.archive, "Prefix for original bytes"),
}


@dag(
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    params=_PARAMS,
    default_args={"retries": 5, "retry_delay": timedelta(seconds=10)},
    doc_md=__doc__,
    tags=["presagio", "intake"],
)
def csv_file_watcher() -> None:
    """Wait for files, then file them all."""

    @task
    def file_incoming(
        params: dict[str, Any] | None = None, run_id: str | None = None
    ) -> dict[str, int]:
        from presagio.orchestration.sweep import sweep_prefixes  # noqa: PLC0415 - not at parse time

        return sweep_prefixes(Prefixes(**(params or {})), run_id=run_id)

    wait = WaitForIncomingCsv(
        task_id="wait_for_incoming",
        bucket="{{ params.bucket }}",
        incoming="{{ params.incoming }}",
    )
    wait >> file_incoming()


csv_file_watcher()
