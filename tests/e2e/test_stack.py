"""Start, stop, crash, restart: no process left behind, no data lost."""

import json
import os
import signal
import stat
from pathlib import Path

import psutil
import pytest

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
    with other.in_the_foreground() as output:
        assert other.ready()["version"] == "1"
        assert stack.call("status").returncode == 0
        assert other.intake.ledger.receipts() == []
        other.intake.ledger.close()
    assert "PRESAGIO_AIRFLOW_ADMIN_PASSWORD" in output[0]
    assert "make demo" in output[0]
    assert other.processes == []
    assert stack.call("status").returncode == 0
