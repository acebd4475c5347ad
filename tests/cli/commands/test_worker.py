"""The command that runs a worker: what it refuses, and what it hands to Airflow."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from presagio.cli.exit_status import ExitStatus
from tests.cli.conftest import Cli

BROKER = "redis://airflow:secret@10.0.0.5:6379/0"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would have been started in this process's place."""
    found: dict[str, Any] = {}

    def note(path: str, command: list[str], env: dict[str, str]) -> None:
        found.update(path=path, command=command, env=env)

    monkeypatch.setattr("os.execve", note)
    monkeypatch.setenv("PRESAGIO_BROKER_URL", BROKER)
    monkeypatch.setenv("PRESAGIO_AIRFLOW_API_SECRET", "signs logs")
    monkeypatch.setenv("PRESAGIO_AIRFLOW_URL", "http://10.0.0.5:8080")
    return found


def _option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_a_worker_of_the_intake_serves_its_logs(
    started: dict[str, Any], cli: Cli, tmp_path: Path
) -> None:
    done = cli("worker", "--name", "intake-7", "--slots", "3", home=tmp_path)
    assert done.status == ExitStatus.DONE, done.err
    command, env = started["command"], started["env"]
    assert command[:3] == [sys.executable, "-m", "presagio.orchestration.worker"]
    assert command[3] == str(tmp_path / "run" / "worker-intake-7")
    # Logs of its own: what is left of a worker that was killed is uploaded.
    assert command[4] == env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]
    assert Path(command[4]).is_dir()
    assert (_option(command, "--queues"), _option(command, "--concurrency")) == ("intake", "3")
    assert _option(command, "--celery-hostname") == "intake-7"
    assert "--skip-serve-logs" not in command
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://10.0.0.5:8080/execution/"
    assert env["AIRFLOW__API__SECRET_KEY"] == "signs logs"
    assert not [part for part in command if "secret" in part]


def test_a_worker_that_trains_has_one_slot(
    started: dict[str, Any], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_WORKER_SLOTS", "8")
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path / "shared"))
    cli("worker", "--queue", "train", "--no-serve-logs", home=tmp_path)
    command, env = started["command"], started["env"]
    assert (_option(command, "--queues"), _option(command, "--concurrency")) == ("train", "1")
    # The API server reads the same folder, so nothing there is this worker's to remove.
    assert command[4] == ""
    assert "--skip-serve-logs" in command
    assert env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] == str(tmp_path / "shared")
    assert "AIRFLOW__API__SECRET_KEY" not in env


@pytest.mark.parametrize(
    "wrong", [("--queue", "default"), ("--slots", "0"), ("--name", "a b"), ("--name", "../x")]
)
def test_what_cannot_be_used_is_wrong_usage(
    wrong: tuple[str, str], started: dict[str, Any], cli: Cli, tmp_path: Path
) -> None:
    assert cli("worker", *wrong, home=tmp_path).status == ExitStatus.USAGE
    assert started == {}


@pytest.mark.parametrize("missing", ["PRESAGIO_BROKER_URL", "PRESAGIO_AIRFLOW_API_SECRET"])
def test_what_is_missing_is_named(
    missing: str,
    started: dict[str, Any],
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(missing)
    done = cli("worker", home=tmp_path)
    assert (done.status, started) == (ExitStatus.FAILED, {})
    assert missing in done.err


def test_it_knows_where_logs_are_kept(started: dict[str, Any], cli: Cli, tmp_path: Path) -> None:
    cli("worker", home=tmp_path)
    connection = json.loads(started["env"]["AIRFLOW_CONN_PRESAGIO_LOGS"])
    assert connection["conn_type"] == "aws"
    assert started["env"]["PATH"] == os.environ["PATH"]
