"""The intake through Airflow: killed in the middle, many files at once, announced, verified."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from presagio.ingest.upload import Uploaded, upload, wait_for_receipt
from presagio.ingest.verify import verify
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.storage.receipt import Receipt
from tests.e2e.stack import Stack, eventually
from tests.readings import HEADER

_ROWS = 1_500_000


def _large_file(folder: Path, spec: MachineSpec, seed: int) -> Path:
    """A file that takes some seconds to file; without labels, so that nobody trains on it."""
    path = folder / f"large {seed}.csv"
    with path.open("wb") as file:
        for number, block in enumerate(simulate(spec, _ROWS, seed=seed)):
            block.select(spec.input_names).write_csv(file, include_header=number == 0)
    return path


def _working(stack: Stack) -> list[psutil.Process]:
    """The processes that hold a file of the intake open."""
    found = []
    for process in stack.processes:
        try:
            # As Linux has it: psutil leaves out what is in a container's own file system.
            files = Path(f"/proc/{process.pid}/fd").iterdir()
            paths = [str(file.readlink()) for file in files]
        except OSError:
            continue
        if any("presagio-spool-" in path for path in paths):
            found.append(process)
    return found


def _kill_while_filing(
    stack: Stack, path: Path, victim: Callable[[], int]
) -> tuple[Uploaded, Receipt]:
    uploaded = upload(stack.intake, path)
    eventually(lambda: _working(stack), limit_s=60)
    time.sleep(0.5)
    os.kill(victim(), signal.SIGKILL)
    receipt = wait_for_receipt(stack.intake, uploaded, timeout_s=270)
    assert receipt is not None, "not filed after the kill"
    return uploaded, receipt


def _assert_filed_once(stack: Stack, uploaded: Uploaded, receipt: Receipt) -> None:
    intake, done = stack.intake, receipt.outcome
    assert (done.rows_in, done.rows_processed) == (_ROWS, _ROWS)
    assert receipt.identity.sha256 == uploaded.sha256
    assert len(intake.ledger.receipts(key=uploaded.key)) == 1
    processed = intake.store.read("csv-data", str(done.processed_key))
    assert processed is not None
    assert hashlib.sha256(processed[0]).hexdigest() == done.digests[str(done.processed_key)]
    assert processed[0].count(b"\n") == _ROWS + 1
    parts = [stored for stored in intake.store.list("data", "curated/")
             if f"/receipt-{receipt.id}-" in stored.key]  # fmt: skip
    assert [stored.key for stored in parts] == list(done.curated_keys)
    assert eventually(lambda: verify(intake).differences == (), limit_s=60)


# A process that is killed at each step of a filing is tested in tests/ingest, too.
@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_killed_task_process_loses_and_doubles_nothing(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    path = _large_file(tmp_path, spec, seed=101)
    uploaded, receipt = _kill_while_filing(stack, path, lambda: _working(stack)[0].pid)
    _assert_filed_once(stack, uploaded, receipt)
    assert eventually(lambda: stack.run_state(receipt.run_id) == "success", limit_s=120)
    with stack.airflow() as airflow:
        run = f"/dags/csv_file_watcher/dagRuns/{receipt.run_id}/taskInstances"
        tasks = airflow.get(run).raise_for_status().json()["task_instances"]
    tries = {task["task_id"]: task["try_number"] for task in tasks}
    assert tries["file_batch"] == 2


# The scheduler is killed with other services in test_restarts.py, too.
@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_killed_scheduler_loses_and_doubles_nothing(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    path = _large_file(tmp_path, spec, seed=102)
    before = stack.service("airflow-scheduler")
    uploaded, receipt = _kill_while_filing(stack, path, lambda: int(before["pid"]))
    _assert_filed_once(stack, uploaded, receipt)
    assert stack.service("airflow-scheduler")["restarts"] == before["restarts"] + 1
    # The watcher goes on.
    file = tmp_path / "after.csv"
    file.write_bytes(HEADER + b"\nL,300,310,1500,40,10.102\n")
    next_receipt = wait_for_receipt(stack.intake, upload(stack.intake, file), timeout_s=270)
    assert next_receipt is not None


def _has_succeeded(stack: Stack, run: str) -> bool:
    return stack.run_state(run) == "success"


@pytest.mark.timeout(600)
def test_many_files_at_once_are_filed_by_mapped_batches_and_announced_once(stack: Stack) -> None:
    intake, count = stack.intake, 100
    for i in range(count):
        body = HEADER + b"".join(b"\nL,300,310,1500,%d.%d,10" % (i, j) for j in range(20))
        intake.store.write("csv-data", f"incoming/many/{i:03}.csv", body)

    def filed() -> list[Receipt]:
        receipts = intake.ledger.receipts(bucket="csv-data", limit=None)
        return [r for r in receipts if r.identity.key.startswith("incoming/many/")]

    assert eventually(lambda: len(filed()) == count, limit_s=120)
    assert sum(receipt.outcome.rows_processed for receipt in filed()) == count * 20
    runs = {str(receipt.run_id) for receipt in filed()}
    for run in runs:
        assert eventually(partial(_has_succeeded, stack, run), limit_s=60)

    def announced() -> dict[str, Any]:
        with stack.airflow() as airflow:
            events = airflow.get("/assets/events", params={"limit": 100, "order_by": "-timestamp"})
            events.raise_for_status()
        return {
            event["source_run_id"]: event["extra"]
            for event in events.json()["asset_events"]
            if event["source_run_id"] in runs
        }

    # Each run announces its rows once; what else waited at that time is in the counts too.
    assert eventually(lambda: set(announced()) == runs, limit_s=60)
    assert sum(extra["rows_processed"] for extra in announced().values()) >= count * 20


# What becomes of them is tested in tests/ingest, too.
@pytest.mark.nightly
def test_the_same_bytes_under_another_name_are_taken_once(stack: Stack, tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_bytes(HEADER + b"\nL,300,310,1500,40.5,10.5\n")
    verdicts = []
    for name in ("one.csv", "two.csv"):
        done = stack.call("ingest", tmp_path / name, "--wait", "--json")
        verdicts.append(json.loads(done.stdout)["receipt"]["verdict"])
    assert verdicts == ["processed", "duplicate"]


@pytest.mark.nightly
def test_a_spanish_export_is_filed_and_curated(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "turno mañana.csv"
    header = "Type;Air temperature [°C];Process temperature [°C];Rotational speed [rpm];"
    text = header + "Torque [N·m];Tool wear [h]\r\n" + "L;25,3;35,9;1551;42,8;1,5\r\n"
    file.write_bytes(text.encode("cp1252"))
    done = stack.call("ingest", file, "--wait", "--json")
    receipt = json.loads(done.stdout)["receipt"]
    assert receipt["notes"]["encoding"] == "cp1252"
    (key,) = receipt["curated_keys"]
    read = stack.intake.store.read("data", key)
    assert read is not None
    row = pl.read_parquet(read[0]).to_dicts()[0]
    assert (row["airtemperature_k"], row["torque_nm"], row["tool_wear_min"]) == (298.45, 42.8, 90.0)
    assert row["receipt_id"] == receipt["id"]


def test_ledger_and_buckets_agree_after_all_that(stack: Stack) -> None:
    assert eventually(lambda: stack.call("ingest", "verify").returncode == 0, limit_s=60)


def test_the_daily_comparison_runs(stack: Stack) -> None:
    def run() -> str:
        with stack.airflow() as airflow:
            body: dict[str, Any] = {"logical_date": None, "conf": {"deep": True}}
            answer = airflow.post("/dags/ingest_verify/dagRuns", json=body).raise_for_status()
        return str(answer.json()["dag_run_id"])

    good = run()
    assert eventually(lambda: stack.run_state(good, "ingest_verify") == "success", limit_s=120)
