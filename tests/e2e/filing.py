"""What tests of workers send, and what they find of it: receipts, tasks, logs."""

import time
from typing import Any

from presagio.storage.receipt import Receipt
from tests.e2e.stack import Stack
from tests.readings import HEADER

# The tasks that file: the first one a handful of files, and the other one a batch of more.
FILING = ("plan", "file_batch")
ROWS = 5


def send(stack: Stack, name: str, count: int) -> None:
    """Put files of rows into the bucket that no other file has."""
    for i in range(count):
        rows = (f"\nL,300,310,1500,{10 + i % 60}.{time.time_ns()},{j}" for j in range(ROWS))
        body = HEADER + "".join(rows).encode()
        stack.intake.store.write("csv-data", f"incoming/{name}/{i:04}.csv", body)


def filed_below(stack: Stack, name: str) -> list[Receipt]:
    receipts = stack.intake.ledger.receipts(bucket="csv-data", limit=None)
    return [each for each in receipts if each.identity.key.startswith(f"incoming/{name}/")]


def filing_tasks(stack: Stack, filed: list[Receipt]) -> list[dict[str, Any]]:
    """The tasks that file, of the rounds in which files were filed."""
    with stack.airflow() as airflow:
        return [
            task
            for run in sorted({str(receipt.run_id) for receipt in filed})
            for task in airflow.get(f"/dags/csv_file_watcher/dagRuns/{run}/taskInstances")
            .raise_for_status()
            .json()["task_instances"]
            if task["task_id"] in FILING
        ]


def log_of(stack: Stack, task: dict[str, Any], attempt: int) -> str:
    path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
    with stack.airflow() as airflow:
        answer = airflow.get(
            f"{path}/logs/{attempt}",
            params={"map_index": task["map_index"], "full_content": True},
        ).raise_for_status()
    return answer.text
