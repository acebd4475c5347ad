"""Start, stop, crash, restart: no process left behind, no data lost."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from presagio.registry.writer import open_registry
from tests.e2e.stack import Stack, eventually

pytestmark = pytest.mark.local


def test_secrets_are_private(stack: Stack) -> None:
    for name in ("credentials.env", "stack.env", "airflow/passwords.json"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600


def test_status_and_logs_show_every_service(stack: Stack) -> None:
    shown = stack.call("status").stdout
    asked = json.loads(stack.call("status", "--json").stdout)
    services = stack.status()["services"]
    assert [found["name"] for found in asked["services"]] == [own["name"] for own in services]
    assert {service["state"] for service in services} == {"healthy", "done"}
    for service in services:
        assert service["name"] in shown
        assert stack.call("logs", service["name"], "-n", "5").returncode == 0
    assert "uvicorn" in stack.call("logs", "api", "-n", "1000").stdout.lower()


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    ours = {process.pid for process in stack.processes}
    listening = [
        c.laddr.ip for c in psutil.net_connections("inet")
        if c.laddr and c.pid in ours and c.status == psutil.CONN_LISTEN
    ]  # fmt: skip
    assert len(listening) >= 5
    assert set(listening) == {"127.0.0.1"}


@contextmanager
def _in_the_foreground(stack: Stack) -> Iterator[list[str]]:
    """Run ``presagio up`` until it is healthy; Ctrl-C at the end, and what it printed."""
    foreground = subprocess.Popen(
        [sys.executable, "-m", "presagio", "up", "--port-offset", str(stack.offset)],
        env=os.environ | stack.own | {"COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    output: list[str] = []
    try:
        eventually(lambda: stack.status()["phase"] == "healthy", limit_s=240)
        yield output
    finally:
        foreground.send_signal(signal.SIGINT)
        text, _ = foreground.communicate(timeout=60)
        output.append(text)
    assert foreground.returncode == 0, text


@pytest.mark.leaves_it_stopped
def test_down_and_ctrl_c_leave_nothing_and_up_resumes_with_all_data(stack: Stack) -> None:
    receipts = stack.intake.ledger.receipts(limit=None)
    objects = list(stack.intake.store.list("csv-data"))
    champion = open_registry(stack.settings).resolve()
    assert stack.call("down").returncode == 0
    assert stack.processes == []
    assert stack.call("status").returncode == 3
    with _in_the_foreground(stack) as output:
        assert stack.intake.ledger.receipts(limit=None) == receipts
        assert list(stack.intake.store.list("csv-data")) == objects
        assert open_registry(stack.settings).resolve() == champion
        assert eventually(lambda: stack.ready()["version"] == champion.version)
    assert stack.processes == []
    assert "The stack is up." in output[0]


# Of a supervisor's processes alone this is tested in tests/stack, too.
@pytest.mark.nightly
@pytest.mark.leaves_it_stopped
def test_a_crash_of_the_supervisor_leaves_no_process(stack: Stack) -> None:
    os.kill(stack.status()["pid"], signal.SIGKILL)
    eventually(lambda: stack.processes == [], limit_s=60)
    assert stack.call("status").returncode == 3


def test_a_second_up_on_a_running_stack_is_refused(stack: Stack) -> None:
    refused = stack.up()
    assert refused.returncode == 1
    assert "runs already" in refused.stderr


def test_a_taken_port_is_named(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path / "other", stack.offset, None)
    refused = other.up()
    assert refused.returncode == 1
    assert "port " in refused.stderr
    assert "--port-offset" in refused.stderr
    assert other.processes == []


# A second stack takes a minute; tests/stack has two supervisors that do not know each other.
@pytest.mark.nightly
def test_two_stacks_run_side_by_side(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path / "other", stack.offset + 1000, None)
    with _in_the_foreground(other) as output:
        assert other.ready()["version"] == "1"
        assert stack.call("status").returncode == 0
        assert other.intake.ledger.receipts() == []
        other.intake.ledger.close()
    assert "PRESAGIO_AIRFLOW_ADMIN_PASSWORD" in output[0]
    assert "make demo" in output[0]
    assert other.processes == []
    assert stack.call("status").returncode == 0
