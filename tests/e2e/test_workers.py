"""A stack is stopped, and started again with Celery workers: with all data, and they file.

One start for both, since each takes a minute. What is killed is killed in test_killed_workers.py.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from presagio.orchestration.queues import INTAKE
from presagio.registry.writer import open_registry
from presagio.stack.layout import Layout
from tests.e2e.filing import FILING, filed_below, filing_tasks, log_of, send
from tests.e2e.stack import Stack, eventually

pytestmark = [pytest.mark.local, pytest.mark.nightly, pytest.mark.leaves_it_stopped]
# More than a round files in its first task.
_FILES = 60


@dataclass(frozen=True)
class Restart:
    """A stack, and what it had before it was stopped and after it was started again."""

    stack: Stack
    before: tuple[Any, ...]
    after: tuple[Any, ...]


def _data(stack: Stack) -> tuple[Any, ...]:
    intake, champion = stack.intake, open_registry(stack.settings).resolve()
    return intake.ledger.receipts(limit=None), list(intake.store.list("csv-data")), champion


@pytest.fixture(scope="module")
def restart(session_stack: Stack) -> Iterator[Restart]:
    """The session's stack, stopped and started again in the foreground; Ctrl-C at the end."""
    if session_stack.status()["phase"] == "stopped":
        started = session_stack.up()
        assert started.returncode == 0, started.stdout + started.stderr
    before = _data(session_stack)
    assert session_stack.call("down").returncode == 0
    assert session_stack.processes == []
    assert session_stack.call("status").returncode == 3
    with session_stack.in_the_foreground("--workers", "1") as output:
        yield Restart(session_stack, before, _data(session_stack))
    assert session_stack.processes == []
    assert "The stack is up." in output[0]


def test_down_and_up_with_workers_resumes_with_all_data(restart: Restart) -> None:
    assert restart.after == restart.before
    _, _, champion = restart.after
    assert eventually(lambda: restart.stack.ready()["version"] == champion.version)


def test_logs_are_read_from_the_bucket_when_the_worker_is_gone(restart: Restart) -> None:
    stack, name = restart.stack, f"few-{time.time_ns()}"
    send(stack, name, _FILES)
    assert eventually(lambda: len(filed_below(stack, name)) == _FILES, limit_s=150)
    filed = filed_below(stack, name)
    logs = Layout(stack.home).airflow / "logs" / "dag_id=csv_file_watcher"
    for run in {str(receipt.run_id) for receipt in filed}:
        assert eventually(lambda run=run: stack.run_state(run) == "success", limit_s=60)  # type: ignore[misc]
        folders = [logs / f"run_id={run}" / f"task_id={task}" for task in FILING]
        kept = [log for folder in folders for log in folder.rglob("*.log")]
        # What is uploaded is emptied. Nobody writes into the log of a round that has ended.
        assert eventually(lambda kept=kept: not any(log.stat().st_size for log in kept))  # type: ignore[misc]
        shutil.rmtree(logs / f"run_id={run}")
    tasks = [task for task in filing_tasks(stack, filed) if task["state"] == "success"]
    assert {task["queue"] for task in tasks} == {INTAKE}
    read = [log_of(stack, task, task["try_number"]) for task in tasks]
    assert all("s3://data/airflow-logs/" in log for log in read)
    assert all(any(receipt.identity.key in log for log in read) for receipt in filed)
