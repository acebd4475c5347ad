"""Celery workers and their broker are killed at work, and one joins from another home.

Nightly: most of the minutes are waits until Airflow misses a heartbeat.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import polars as pl
import psutil
import pytest

from presagio.ingest.verify import verify
from presagio.storage.receipt import Receipt
from tests.conftest import free_ports
from tests.e2e.filing import ROWS, filed_below, filing_tasks, log_of, send
from tests.e2e.stack import Stack, eventually

pytestmark = [pytest.mark.local, pytest.mark.leaves_it_stopped, pytest.mark.nightly]
_log = logging.getLogger(__name__)
_ROUNDS = [("worker",), ("broker",), ("worker", "broker")]
_FILES = 1000
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


@pytest.mark.parametrize("killed", _ROUNDS, ids="-and-".join)
def test_what_is_killed_at_work_loses_and_doubles_nothing(
    stack: Stack, killed: tuple[str, ...]
) -> None:
    name = "-".join(killed)
    before = {each["name"]: each["restarts"] for each in stack.status()["services"]}
    began = time.monotonic()
    send(stack, name, _FILES)
    victims, when = [], []
    for number, each in enumerate(killed, start=1):
        few = _FILES * number // (len(killed) + 2)
        eventually(lambda few=few: len(filed_below(stack, name)) >= few, limit_s=_LIMIT_S)  # type: ignore[misc]
        victims.append(_KILL[each](stack))
        when.append(round(time.monotonic() - began, 1))
    filed = eventually(partial(_all_of, stack, name), limit_s=_LIMIT_S)
    took = time.monotonic() - began
    _log.warning("%s killed after %s s; %d files after %.1f s", killed, when, _FILES, took)
    assert took <= _LIMIT_S
    # One receipt each, every row once, and the bucket agrees.
    assert len({receipt.identity.key for receipt in filed}) == len(filed) == _FILES
    assert {receipt.outcome.verdict for receipt in filed} == {"processed"}
    assert sum(receipt.outcome.rows_processed for receipt in filed) == _FILES * ROWS
    assert _curated_rows(stack, filed) == _FILES * ROWS
    assert eventually(lambda: verify(stack.intake).differences == (), limit_s=60)
    for victim in victims:
        assert eventually(lambda victim=victim: _is_back(stack, victim, before), limit_s=60)  # type: ignore[misc]
    for run in {str(receipt.run_id) for receipt in filed}:
        assert eventually(lambda run=run: stack.run_state(run) == "success", limit_s=60)  # type: ignore[misc]
    if "worker" in killed:
        # What was killed was tried again; until somebody removes it, its log is on this disk.
        again, *_ = [task for task in filing_tasks(stack, filed) if task["try_number"] > 1]
        assert "presagio" in log_of(stack, again, 1)


def _all_of(stack: Stack, name: str) -> list[Receipt]:
    filed = filed_below(stack, name)
    return filed if len(filed) >= _FILES else []


def _is_back(stack: Stack, name: str, before: dict[str, int]) -> bool:
    service = stack.service(name)
    return bool(service["state"] == "healthy" and service["restarts"] > before[name])


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


def test_a_worker_of_another_home_takes_its_part(stack: Stack, joined: Path) -> None:
    logs = joined / "airflow" / "worker-logs" / "joined"
    for part in range(10):
        name = f"joined-{part}"
        send(stack, name, count=60)
        eventually(lambda name=name: len(filed_below(stack, name)) == 60, limit_s=_LIMIT_S)  # type: ignore[misc]
        if any(logs.rglob("task_id=file_batch/**/*.log")):
            break
    else:
        pytest.fail((joined / "log").read_text("utf-8"))
    # Its tasks ended well, and their logs are in the bucket.
    assert eventually(
        lambda: not [log for log in logs.rglob("*.log") if log.stat().st_size], limit_s=60
    )
