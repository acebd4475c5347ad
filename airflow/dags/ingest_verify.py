"""Compares the ledger with the buckets once a day, and mends what can be mended.

What: ``presagio.ingest.verify``, the same as ``presagio ingest verify``. The run fails when
differences are left, so that somebody looks; its log names each.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task

_PARAMS = {
    "mend": Param(default=True, type="boolean", title="Put right what can be; nothing is lost"),
    "deep": Param(default=False, type="boolean", title="Read every object, compare its SHA-256"),
}


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    params=_PARAMS,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
    tags=["presagio", "intake"],
)
def ingest_verify() -> None:
    """Compare, mend, and fail when something is left."""

    @task
    def compare(params: dict[str, Any] | None = None) -> dict[str, int]:
        from presagio.jobs.reconcile import reconcile  # noqa: PLC0415 - not at parse time

        wanted = params or {}
        return reconcile(deep=wanted["deep"], mend=wanted["mend"])

    compare()


ingest_verify()
