"""Files every CSV and Parquet file that lands below the incoming prefix; runs again and again.

When: as soon as there is a file (looked for in the triggerer, no worker waits).
What: ``presagio.jobs.file`` plans batches of what is there (a handful of small files are filed at
once), mapped tasks file one batch each, and one task emits the asset ``presagio_clean_data`` with
the count of new rows.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from presagio.orchestration import tasks
from presagio.orchestration.waiting import WaitForIncomingCsv
from presagio.settings import load_settings

CLEAN_DATA = Asset("presagio_clean_data")


def _param(value: str, title: str) -> Param:
    return Param(value, type="string", minLength=1, title=title)


_DEFAULTS = load_settings().prefixes
_PARAMS = {
    "bucket": _param(_DEFAULTS.bucket, "Bucket"),
    "incoming": _param(_DEFAULTS.incoming, "Prefix that files land in"),
    "processed": _param(_DEFAULTS.processed, "Prefix for clean rows"),
    "quarantine": _param(_DEFAULTS.quarantine, "Prefix for bad rows and unreadable files"),
    "archive": _param(_DEFAULTS.archive, "Prefix for original bytes"),
    "curated_bucket": _param(_DEFAULTS.curated_bucket, "Bucket of the curated data set"),
    "curated": _param(_DEFAULTS.curated, "Prefix of the curated data set"),
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
    """Wait for files, plan batches, file them, say how many rows are new."""

    @task
    def plan(
        params: dict[str, Any] | None = None, run_id: str | None = None
    ) -> list[dict[str, object]]:
        return tasks.begin_round(params, run_id)

    @task(map_index_template="{{ task.op_kwargs['batch']['keys'] | length }} files")
    def file_batch(
        batch: dict[str, Any], params: dict[str, Any] | None = None, run_id: str | None = None
    ) -> dict[str, int]:
        return tasks.file_batch(batch, params, run_id)

    # Files that were filed count even when a batch failed.
    @task(outlets=[CLEAN_DATA], trigger_rule="all_done")
    def announce(
        params: dict[str, Any] | None = None, run_id: str | None = None, outlet_events: Any = None
    ) -> dict[str, int]:
        total = tasks.sum_up(params, run_id)
        if total["rows_processed"] == 0:
            raise AirflowSkipException("no new rows")
        outlet_events[CLEAN_DATA].extra = total
        return total

    # A run whose batches failed has failed, whatever was announced.
    @task(trigger_rule="one_failed", retries=0)
    def report_failure() -> None:
        raise RuntimeError("a batch has failed; its files wait below the incoming prefix")

    wait = WaitForIncomingCsv(
        task_id="wait_for_incoming",
        bucket="{{ params.bucket }}",
        incoming="{{ params.incoming }}",
    )
    batches = plan()
    filed = file_batch.expand(batch=batches)
    wait >> batches
    filed >> [announce(), report_failure()]


csv_file_watcher()
