"""Files every CSV and Parquet file that lands below the incoming prefix; runs again and again.

When: as soon as there is a file (looked for in the triggerer, no worker waits).
What: ``presagio.jobs.file`` plans batches of what is there (a handful of small files are filed at
once), mapped tasks file one batch each, and one task emits the asset ``presagio_clean_data`` with
the count of new rows. What was filed and what was refused, and why, is the last thing in the log of
``announce``, and its XCom ``summary``. Each fleet but the default one has a DAG and an asset of its
own, with its name behind.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from presagio.orchestration import tasks
from presagio.orchestration.queues import INTAKE, INTAKE_LIMIT
from presagio.orchestration.waiting import WaitForIncomingCsv
from presagio.settings import Prefixes, Settings


def _param(value: str, title: str) -> Param:
    return Param(value, type="string", minLength=1, title=title)


def _params(prefixes: Prefixes) -> dict[str, Param]:
    return {
        "bucket": _param(prefixes.bucket, "Bucket"),
        "incoming": _param(prefixes.incoming, "Prefix that files land in"),
        "processed": _param(prefixes.processed, "Prefix for clean rows"),
        "quarantine": _param(prefixes.quarantine, "Prefix for bad rows and unreadable files"),
        "archive": _param(prefixes.archive, "Prefix for original bytes"),
        "curated_bucket": _param(prefixes.curated_bucket, "Bucket of the curated data set"),
        "curated": _param(prefixes.curated, "Prefix of the curated data set"),
    }


def make_dag(settings: Settings) -> Any:
    """Make the DAG of one fleet."""
    fleet, clean_data = settings.fleet, Asset(settings.named("presagio_clean_data"))

    @dag(
        settings.named("csv_file_watcher"),
        schedule="@continuous",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        # Airflow's default, or as many as there are slots for.
        max_active_tasks=max(16, settings.intake_slots),
        catchup=False,
        params=_params(settings.prefixes),
        default_args={"retries": 5, "retry_delay": timedelta(seconds=10), "queue": INTAKE},
        doc_md=__doc__,
        tags=["presagio", "intake"],
    )
    def csv_file_watcher() -> None:
        """Wait for files, plan batches, file them, say how many rows are new."""

        # Not of the waiting, which takes as long as it takes.
        @task(execution_timeout=INTAKE_LIMIT)
        def plan(
            params: dict[str, Any] | None = None, run_id: str | None = None
        ) -> list[dict[str, object]]:
            return tasks.begin_round(params, run_id, fleet)

        @task(
            execution_timeout=INTAKE_LIMIT,
            map_index_template="{{ task.op_kwargs['batch']['keys'] | length }} files",
        )
        def file_batch(
            batch: dict[str, Any], params: dict[str, Any] | None = None, run_id: str | None = None
        ) -> dict[str, int]:
            return tasks.file_batch(batch, params, run_id, fleet)

        # Files that were filed count even when a batch failed.
        @task(execution_timeout=INTAKE_LIMIT, outlets=[clean_data], trigger_rule="all_done")
        def announce(
            params: dict[str, Any] | None = None,
            run_id: str | None = None,
            outlet_events: Any = None,
            ti: Any = None,
        ) -> dict[str, Any]:
            total = tasks.sum_up(params, run_id, fleet)
            # A task that is skipped returns nothing that Airflow would show.
            ti.xcom_push(key="summary", value=total["summary"])
            if total["rows_processed"] == 0:
                raise AirflowSkipException(f"no new rows: {total['summary']}")
            outlet_events[clean_data].extra = total
            return total

        # A run whose batches failed has failed, whatever was announced.
        @task(trigger_rule="one_failed", retries=0)
        def report_failure() -> None:
            raise RuntimeError("a batch has failed; its files wait below the incoming prefix")

        wait = WaitForIncomingCsv(
            task_id="wait_for_incoming",
            bucket="{{ params.bucket }}",
            incoming="{{ params.incoming }}",
            fleet=fleet,
        )
        batches = plan()
        filed = file_batch.expand(batch=batches)
        wait >> batches
        filed >> [announce(), report_failure()]

    return csv_file_watcher()


for one in tasks.fleets_with_dags():
    make_dag(one)
