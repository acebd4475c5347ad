"""Celery workers: they file, and logs are in the bucket; what is killed at work loses nothing.

In `.ci/run` files are filed and logs are read. Kills of a worker and the broker are nightly: most
of their minutes are waits until Airflow misses a heartbeat.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from presagio.ingest.verify import verify
from presagio.orchestration.queues import INTAKE
from presagio.stack.layout import Layout
from presagio.storage.receipt import Receipt
from tests.conftest import free_ports
from tests.e2e.stack import Stack, eventually
from tests.readings import HEADER

pytestmark = [pytest.mark.local, pytest.mark.leaves_it_stopped]
_log = logging.getLogger(__name__)
_ROUNDS = [("worker",), ("broker",), ("worker", "broker")]
_FILES = 1000
_FEW = 60
# The first one files a handful of files, and the other one a batch of more.
_FILING = ("plan", "file_batch")
_ROWS = 5
_WORKERS = ("airflow-worker-intake-1", "airflow-worker-intake-2")
_LIMIT_S = 150


@pytest.fixture(scope="module")
def stack(session_stack: Stack) -> Iterator[Stack]:
    """The session's stack, with its data, on two workers instead of the LocalExecutor."""
    if session_stack.status()["phase"] != "stopped":
        session_stack.down()
    started = session_stack.up("--workers", "2")
    assert started.returncode == 0, started.stdout + started.stderr
    yield session_stack
    session_stack.down()


def _send(stack: Stack, name: str, count: int = _FILES) -> None:
    """Put files of rows into the bucket that no other file has."""
    for i in range(count):
        rows = (f"\nL,300,310,1500,{10 + i % 60}.{time.time_ns()},{j}" for j in range(_ROWS))
        body = HEADER + "".join(rows).encode()
        stack.intake.store.write("csv-data", f"incoming/{name}/{i:04}.csv", body)


def _filed(stack: Stack, name: str) -> list[Receipt]:
    receipts = stack.intake.ledger.receipts(bucket="csv-data", limit=None)
    return [each for each in receipts if each.identity.key.startswith(f"incoming/{name}/")]


def _at_work(stack: Stack) -> list[str]:
    """The workers that have a file of the intake open."""
    found = []
    for name in _WORKERS:
        for process in _tree(stack.service(name)["pid"]):
            try:
                files = [str(each.readlink()) for each in Path(f"/proc/{process.pid}/fd").iterdir()]
            except OSError:
                continue
            if any("presagio-spool-" in file for file in files):
                found.append(name)
                break
    return found


def _tree(pid: int) -> list[psutil.Process]:
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]


def _kill_a_worker(stack: Stack) -> str:
    name = eventually(lambda: _at_work(stack), limit_s=60)[0]
    tree = _tree(stack.service(name)["pid"])
    assert len(tree) > 3, "leader, slots, and a task with its supervisor"
    # None of them sees another one end.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in tree:
            os.kill(process.pid, number)
    return name


def _kill_the_broker(stack: Stack) -> str:
    os.kill(stack.service("broker")["pid"], signal.SIGKILL)
    return "broker"


_KILL: dict[str, Callable[[Stack], str]] = {"worker": _kill_a_worker, "broker": _kill_the_broker}


def _curated_rows(stack: Stack, receipts: list[Receipt]) -> int:
    keys = [key for receipt in receipts for key in receipt.outcome.curated_keys]
    read = (stack.intake.store.read("data", key) for key in keys)
    frames = [pl.read_parquet(found[0], columns=["torque_nm"]) for found in read if found]
    assert len(frames) == len(keys)
    return len(pl.concat(frames))


@pytest.mark.nightly
@pytest.mark.parametrize("killed", _ROUNDS, ids="-and-".join)
def test_what_is_killed_at_work_loses_and_doubles_nothing(
    stack: Stack, killed: tuple[str, ...]
) -> None:
    name = "-".join(killed)
    before = {each["name"]: each["restarts"] for each in stack.status()["services"]}
    began = time.monotonic()
    _send(stack, name)
    victims, when = [], []
    for number, each in enumerate(killed, start=1):
        few = _FILES * number // (len(killed) + 2)
        eventually(lambda few=few: len(_filed(stack, name)) >= few, limit_s=_LIMIT_S)  # type: ignore[misc]
        victims.append(_KILL[each](stack))
        when.append(round(time.monotonic() - began, 1))
    filed = eventually(partial(_all_of, stack, name), limit_s=_LIMIT_S)
    took = time.monotonic() - began
    _log.warning("%s killed after %s s; %d files after %.1f s", killed, when, _FILES, took)
    assert took <= _LIMIT_S
    # One receipt each, every row once, and the bucket agrees.
    assert len({receipt.identity.key for receipt in filed}) == len(filed) == _FILES
    assert {receipt.outcome.verdict for receipt in filed} == {"processed"}
    assert sum(receipt.outcome.rows_processed for receipt in filed) == _FILES * _ROWS
    assert _curated_rows(stack, filed) == _FILES * _ROWS
    assert eventually(lambda: verify(stack.intake).differences == (), limit_s=60)
    for victim in victims:
        assert eventually(lambda victim=victim: _is_back(stack, victim, before), limit_s=60)  # type: ignore[misc]
    for run in {str(receipt.run_id) for receipt in filed}:
        assert eventually(lambda run=run: stack.run_state(run) == "success", limit_s=60)  # type: ignore[misc]
    if "worker" in killed:
        # What was killed was tried again; until somebody removes it, its log is on this disk.
        again, *_ = [task for task in _tasks(stack, filed) if task["try_number"] > 1]
        assert "presagio" in _log_of(stack, again, 1)


def _all_of(stack: Stack, name: str) -> list[Receipt]:
    filed = _filed(stack, name)
    return filed if len(filed) >= _FILES else []


def _is_back(stack: Stack, name: str, before: dict[str, int]) -> bool:
    service = stack.service(name)
    return bool(service["state"] == "healthy" and service["restarts"] > before[name])


def _tasks(stack: Stack, filed: list[Receipt]) -> list[dict[str, Any]]:
    """The tasks that file, of the rounds in which files were filed."""
    with stack.airflow() as airflow:
        return [
            task
            for run in sorted({str(receipt.run_id) for receipt in filed})
            for task in airflow.get(f"/dags/csv_file_watcher/dagRuns/{run}/taskInstances")
            .raise_for_status()
            .json()["task_instances"]
            if task["task_id"] in _FILING
        ]


def _log_of(stack: Stack, task: dict[str, Any], attempt: int) -> str:
    path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
    with stack.airflow() as airflow:
        answer = airflow.get(
            f"{path}/logs/{attempt}",
            params={"map_index": task["map_index"], "full_content": True},
        ).raise_for_status()
    return answer.text


@pytest.fixture
def joined(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """The home of a worker that knows what docs/workers.md tells a second host, and no more."""
    known = {
        key: value
        for file in ("stack.env", "credentials.env")
        for key, _, value in (
            line.partition("=") for line in (stack.home / file).read_text("utf-8").splitlines()
        )
    }
    wanted = (
        "BROKER_URL", "AIRFLOW_URL", "DATABASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY",
        "S3_SECRET_KEY", "MLFLOW_URL", "API_URL", "CLIENT_SECRET", "AIRFLOW_API_SECRET",
        "TRAIN_POOL", "FLEETS", "MACHINE_SPEC",
    )  # fmt: skip
    env = {f"PRESAGIO_{name}": known[f"PRESAGIO_{name}"] for name in wanted}
    env |= {"PRESAGIO_HOME": str(tmp_path), "PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "presagio", "worker", "--name", "joined"]
    command += ["--log-port", str(free_ports().broker)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(
        command, env=env, stdout=log, stderr=log, cwd=tmp_path
    ) as worker:  # fmt: skip
        try:
            alive = tmp_path / "run" / "worker-joined"
            eventually(alive.exists, limit_s=120)
            yield tmp_path
        finally:
            worker.terminate()
            worker.wait(timeout=60)


@pytest.mark.nightly
def test_a_worker_of_another_home_takes_its_part(stack: Stack, joined: Path) -> None:
    logs = joined / "airflow" / "worker-logs" / "joined"
    for part in range(10):
        name = f"joined-{part}"
        _send(stack, name, count=60)
        eventually(lambda name=name: len(_filed(stack, name)) == 60, limit_s=_LIMIT_S)  # type: ignore[misc]
        if any(logs.rglob("task_id=file_batch/**/*.log")):
            break
    else:
        pytest.fail((joined / "log").read_text("utf-8"))
    # Its tasks ended well, and their logs are in the bucket.
    assert eventually(
        lambda: not [log for log in logs.rglob("*.log") if log.stat().st_size], limit_s=60
    )


def test_logs_are_read_from_the_bucket_when_the_worker_is_gone(stack: Stack) -> None:
    name = f"few-{time.time_ns()}"
    _send(stack, name, count=_FEW)
    assert eventually(lambda: len(_filed(stack, name)) == _FEW, limit_s=_LIMIT_S)
    filed = _filed(stack, name)
    logs = Layout(stack.home).airflow / "logs" / "dag_id=csv_file_watcher"
    for run in {str(receipt.run_id) for receipt in filed}:
        assert eventually(lambda run=run: stack.run_state(run) == "success", limit_s=60)  # type: ignore[misc]
        folders = [logs / f"run_id={run}" / f"task_id={task}" for task in _FILING]
        kept = [log for folder in folders for log in folder.rglob("*.log")]
        # What is uploaded is emptied. Nobody writes into the log of a round that has ended.
        assert eventually(lambda kept=kept: not any(log.stat().st_size for log in kept))  # type: ignore[misc]
        shutil.rmtree(logs / f"run_id={run}")
    tasks = [task for task in _tasks(stack, filed) if task["state"] == "success"]
    assert {task["queue"] for task in tasks} == {INTAKE}
    read = [_log_of(stack, task, task["try_number"]) for task in tasks]
    assert all("s3://data/airflow-logs/" in log for log in read)
    assert all(any(receipt.identity.key in log for log in read) for receipt in filed)
