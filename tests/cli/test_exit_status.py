"""Each command ends with the statuses that the one table names, and with no others."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from presagio.cli.exit_status import (
    EVERY_COMMAND,
    SPECIFIC,
    ExitStatus,
    commands_of,
    exit_status_of,
    first_of,
)
from presagio.cli.main import app
from presagio.errors import DataError, NotFoundError, RegistryError, UnknownVersionError
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from presagio.storage.objects import open_store
from tests.cli.conftest import Cli
from tests.conftest import RunningServices

# What a test of this module or of test_commands.py has shown; see the last test here.
SHOWN: set[tuple[str, ExitStatus]] = set()


def shows(command: str, *statuses: ExitStatus) -> Callable[[Any], Any]:
    """Mark a test as one that ends a command with these statuses."""
    SHOWN.update((command, status) for status in statuses)
    return lambda test: test


def test_the_table_names_each_command_once() -> None:
    assert sorted(SPECIFIC) == sorted(name for name, _ in commands_of(app))


def test_each_number_has_one_meaning() -> None:
    assert len({status.meaning for status in ExitStatus}) == len(ExitStatus)
    used = {*EVERY_COMMAND, *(status for each in SPECIFIC.values() for status in each)}
    assert used == set(ExitStatus)


@pytest.mark.parametrize("command", SPECIFIC)
def test_the_help_of_each_command_lists_its_statuses(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "80"}).output
    assert max(map(len, shown.splitlines())) <= 80
    for status in ExitStatus:
        listed = f"{status:>3}  {status.meaning}" in shown
        assert listed == (status in (*EVERY_COMMAND, *SPECIFIC[command])), status


def test_the_help_of_the_program_lists_them_all() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    assert all(f"{status:>3}  {status.meaning}" in shown for status in ExitStatus)


def test_what_is_unknown_is_told_from_what_fails() -> None:
    assert exit_status_of(NotFoundError("x")) is ExitStatus.NOT_FOUND
    assert exit_status_of(UnknownVersionError("x")) is ExitStatus.NOT_FOUND
    assert exit_status_of(RegistryError("x")) is ExitStatus.FAILED
    assert exit_status_of(OSError("x")) is ExitStatus.FAILED


def test_of_several_the_first_in_the_table_is_taken() -> None:
    met = {ExitStatus.QUARANTINED, ExitStatus.TIMED_OUT, ExitStatus.DONE}
    assert first_of("ingest upload", met) is ExitStatus.TIMED_OUT
    assert first_of("ingest upload", set()) is ExitStatus.DONE


# ---- without a stack ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", SPECIFIC)
def test_an_unknown_option_is_wrong_usage(command: str, cli: Cli, tmp_path: Path) -> None:
    done = cli(*command.split(), "--no-such-option", home=tmp_path)
    assert done.status == ExitStatus.USAGE
    assert "--no-such-option" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("receipts",), ("models",), ("models", "--history"), ("promote",), ("token",), ("serve",),
        ("rollback", "--why", "x"), ("train", "--unless-champion"), ("drift",), ("feedback",),
        ("demo",), ("ingest", "upload", "FILE"), ("ingest", "sweep"), ("ingest", "verify"),
        ("ingest", "release", "1", "--why", "x"), ("data", "generate", "-o", "FILE/x.csv"),
        ("export-fallback", "FILE/x"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_done_is_a_message_and_no_traceback(
    arguments: tuple[str, ...], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    for name in ("S3_ENDPOINT", "MLFLOW_URL", "API_URL"):
        monkeypatch.setenv(f"PRESAGIO_{name}", url)
    database = url.replace("http", "postgresql+psycopg")
    monkeypatch.setenv("PRESAGIO_DATABASE_URL", f"{database}/x")
    monkeypatch.setenv("PRESAGIO_S3_ACCESS_KEY", "x")
    monkeypatch.setenv("PRESAGIO_S3_SECRET_KEY", "x")
    monkeypatch.setattr("presagio.cli.model.generate_small", None, raising=False)
    named = [part.replace("FILE", str(file)) for part in arguments]
    done = cli(*named, home=tmp_path)
    assert done.status == ExitStatus.FAILED, done.err
    assert done.err.startswith("presagio: ")
    assert "Traceback" not in done.err


@shows("status", ExitStatus.NOT_HEALTHY)
def test_no_stack(cli: Cli, tmp_path: Path) -> None:
    assert cli("status", home=tmp_path).status == ExitStatus.NOT_HEALTHY
    done = cli("status", "--json", home=tmp_path)
    assert (done.status, done.json["phase"]) == (ExitStatus.NOT_HEALTHY, "stopped")
    assert cli("down", "--json", home=tmp_path).json == {"stopped": False}


@shows("logs", ExitStatus.NOT_FOUND)
def test_an_unknown_service(cli: Cli, tmp_path: Path) -> None:
    done = cli("logs", "web", home=tmp_path)
    assert done.status == ExitStatus.NOT_FOUND
    assert "presagio up" in done.err


@shows("account remove", ExitStatus.NOT_FOUND)
def test_an_unknown_account(cli: Cli, tmp_path: Path) -> None:
    done = cli("account", "remove", "nobody", home=tmp_path)
    assert done.status == ExitStatus.NOT_FOUND
    assert "presagio account list" in done.err


@shows("ingest check", ExitStatus.QUARANTINED)
def test_a_file_that_would_be_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "none.csv"
    file.write_text("a,b\n", encoding="utf-8")
    done = cli("ingest", "check", file, "--json", home=tmp_path)
    assert (done.status, done.json["refused"]) == (ExitStatus.QUARANTINED, "missing_columns")


# ---- with services ------------------------------------------------------------------------------


@pytest.fixture
def plant(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A stack of its own buckets and models."""
    own = {"s3_bucket": "exits", "data_bucket": "exits-data", "model_name": "exits"}
    for name, value in own.items():
        monkeypatch.setenv(f"PRESAGIO_{name.upper()}", value)
    settings = services.settings.model_copy(update=own)
    for bucket in (settings.s3_bucket, settings.data_bucket):
        open_store(settings).create_bucket(bucket)
    return settings


def _readings(spec: MachineSpec, path: Path, rows: int, seed: int, shift: float = 0.0) -> Path:
    frame = pl.concat(simulate(spec, rows, seed=seed))
    frame.with_columns(pl.col("torque_nm") + shift).write_csv(path)
    return path


def _refused(spec: MachineSpec, path: Path, seed: int) -> Path:
    text = _readings(spec, path, 200, seed).read_text(encoding="utf-8")
    path.write_text(text.replace("true", "maybe"), encoding="utf-8")
    return path


@pytest.mark.integration
@shows("ingest upload", ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED)
@shows("ingest sweep", ExitStatus.QUARANTINED)
@shows("ingest verify", ExitStatus.DIFFERENCES)
@shows("ingest release", ExitStatus.NOT_FOUND)
@shows("receipts", ExitStatus.NOT_FOUND)
def test_the_intake(plant: Settings, spec: MachineSpec, cli: Cli, tmp_path: Path) -> None:
    home, bad = plant.home, _refused(spec, tmp_path / "bad.csv", 71)
    late = cli("ingest", bad, "--wait", "--timeout", "0.1", "--json", home=home)
    assert (late.status, late.json["receipt"]) == (ExitStatus.TIMED_OUT, None)
    assert cli("ingest", "sweep", "--json", home=home).status == ExitStatus.QUARANTINED
    # It is there already: the wait for its receipt ends at once.
    filed = cli("ingest", bad, "--wait", "--timeout", "0.1", "--json", home=home)
    assert filed.status in {ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED}
    good = _readings(spec, tmp_path / "good.csv", 200, 72)
    assert cli("ingest", good, home=home).status == ExitStatus.DONE
    assert cli("ingest", "sweep", home=home).status == ExitStatus.DONE
    assert cli("ingest", "verify", home=home).status == ExitStatus.DONE
    open_store(plant).write(plant.s3_bucket, "processed/x.csv", b"x")
    assert cli("ingest", "verify", home=home).status == ExitStatus.DIFFERENCES
    unknown = cli("receipts", "99999999", home=home)
    assert (unknown.status, unknown.out) == (ExitStatus.NOT_FOUND, "")
    unknown = cli("ingest", "release", "99999999", "--why", "x", home=home)
    assert unknown.status == ExitStatus.NOT_FOUND
