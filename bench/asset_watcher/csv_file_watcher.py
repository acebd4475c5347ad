"""The baseline of ``csv_file_watcher``: the same work, started by an AssetWatcher's event."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import Asset, AssetWatcher, dag, task

from presagio.orchestration import tasks

sys.path.insert(0, str(Path(__file__).parent))
from incoming_event import IncomingEvent  # type: ignore[import-not-found]

_INCOMING = Asset(
    "incoming_files",
    watchers=[
        AssetWatcher(
            name="incoming", trigger=IncomingEvent(bucket="csv-data", incoming="incoming/")
        )
    ],
)


@dag(
    dag_id="csv_file_watcher",
    schedule=[_INCOMING],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
)
def csv_file_watcher() -> None:
    """Plan and file, as the real one does."""

    @task
    def plan(run_id: str | None = None) -> list[dict[str, object]]:
        return tasks.begin_round(None, run_id)

    plan()


csv_file_watcher()
