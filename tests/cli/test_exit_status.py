"""Each command ends with the statuses that the one table names, and with no others."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from typer.testing import CliRunner

from presagio.cli.exit_status import EVERY_COMMAND, ExitStatus, exit_status_of
from presagio.cli.index import COMMANDS, first_of
from presagio.cli.main import app
from presagio.errors import NotFoundError, RegistryError, UnknownVersionError
from presagio.ingest.opening import open_intake
from presagio.jobs.file import sweep
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from presagio.storage.fleets import find_fleet
from presagio.storage.objects import open_store
from tests.cli.conftest import Cli
from tests.conftest import RunningServices
from tests.motors import MOTORS
from tests.pumps import pumps_called
from tests.serving.conftest import SECRETS, serve_app

# What a test of this module or of test_commands.py has shown; see the last test here.
SHOWN: set[tuple[str, ExitStatus]] = set()


def shows(command: str, *statuses: ExitStatus) -> Callable[[Any], Any]:
    """Mark a test as one that ends a command with these statuses."""
    SHOWN.update((command, status) for status in statuses)
    return lambda test: test


def test_each_number_has_one_meaning() -> None:
    assert len({status.meaning for status in ExitStatus}) == len(ExitStatus)
    used = {*EVERY_COMMAND, *(status for each in COMMANDS.values() for status in each.ends)}
    assert used == set(ExitStatus)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_lists_its_statuses(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "80"}).output
    assert max(map(len, shown.splitlines())) <= 80
    for status in ExitStatus:
        listed = f"{status:>3}  {status.meaning}" in shown
        assert listed == (status in (*EVERY_COMMAND, *COMMANDS[command].ends)), status


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


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_wrong_usage(command: str, cli: Cli, tmp_path: Path) -> None:
    done = cli(*command.split(), "--no-such-option", home=tmp_path)
    assert done.status == ExitStatus.USAGE
    assert "--no-such-option" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("receipts",), ("models",), ("models", "--history"), ("card",), ("promote",),
        ("token",), ("serve",), ("worker",),
        ("rollback", "--why", "x"), ("train", "--unless-champion"), ("drift",), ("feedback",),
        ("compact",), ("compact", "--dry-run"), ("demo",), ("units",), ("alarms",),
        ("score-arrivals",), ("ingest", "upload", "FILE"),
        ("ingest", "sweep"), ("ingest", "verify"),
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
    name = f"exits-{uuid4().hex[:8]}"
    own = {"s3_bucket": name, "data_bucket": f"{name}-data", "model_name": name}
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


@contextmanager
def _watcher(plant: Settings) -> Iterator[None]:
    """File what comes, as the DAG does, while a command waits for it."""
    intake, stop = open_intake(find_fleet(plant)), threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            sweep(intake, run_id="a watcher")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        intake.ledger.close()


@pytest.mark.integration
@shows("ingest upload", ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED)
def test_a_wait_for_files(plant: Settings, spec: MachineSpec, cli: Cli, tmp_path: Path) -> None:
    home, bad = plant.home, _refused(spec, tmp_path / "bad.csv", 71)
    good = _readings(spec, tmp_path / "good.csv", 200, 72)
    late = cli("ingest", good, "--wait", "--timeout", "0.1", "--json", home=home)
    assert (late.status, late.json["receipt"]) == (ExitStatus.TIMED_OUT, None)
    with _watcher(plant):
        assert cli("ingest", good, "--wait", home=home).status == ExitStatus.DONE
        both = cli("ingest", good, bad, "--wait", "--json", home=home)
    assert both.status == ExitStatus.QUARANTINED
    assert [line["receipt"]["verdict"] for line in both.lines] == ["processed", "quarantined"]
    # Not waited for, nothing is known of it.
    assert cli("ingest", bad, home=home).status == ExitStatus.DONE


@pytest.mark.integration
@shows("ingest sweep", ExitStatus.QUARANTINED)
@shows("ingest verify", ExitStatus.DIFFERENCES)
@shows("ingest again", ExitStatus.QUARANTINED)
def test_a_sweep_and_a_comparison(
    plant: Settings, spec: MachineSpec, cli: Cli, tmp_path: Path
) -> None:
    home = plant.home
    cli("ingest", _refused(spec, tmp_path / "bad.csv", 73), home=home)
    assert cli("ingest", "sweep", home=home).status == ExitStatus.QUARANTINED
    cli("ingest", _readings(spec, tmp_path / "good.csv", 200, 74), home=home)
    assert cli("ingest", "sweep", home=home).status == ExitStatus.DONE
    assert cli("ingest", "verify", home=home).status == ExitStatus.DONE
    assert cli("ingest", "again", home=home).out.startswith("Every file was checked under")
    listed = cli("receipts", "--json", home=home).lines
    every = [one["id"] for one in listed if one["bucket"] == plant.s3_bucket]
    again = cli("ingest", "again", *every, "--json", home=home)
    assert again.status == ExitStatus.QUARANTINED
    assert {one["after"]["verdict"] for one in again.lines} == {"processed", "quarantined"}
    open_store(plant).write(plant.s3_bucket, "processed/x.csv", b"x")
    done = cli("ingest", "verify", "--json", home=home)
    assert done.status == ExitStatus.DIFFERENCES
    assert done.json["differences"][0]["kind"] == "unknown_object"


@pytest.mark.integration
@shows("receipts", ExitStatus.NOT_FOUND)
@shows("ingest release", ExitStatus.NOT_FOUND)
@shows("ingest again", ExitStatus.NOT_FOUND)
def test_an_unknown_receipt(plant: Settings, cli: Cli) -> None:
    for arguments in (
        ("receipts", 99999999), ("ingest", "release", 99999999, "--why", "x"),
        ("ingest", "again", 99999999),
    ):  # fmt: skip
        done = cli(*arguments, home=plant.home)
        assert (done.status, done.out) == (ExitStatus.NOT_FOUND, "")
        assert "there is no receipt 99999999; see: presagio receipts" in done.err


_OF_A_FLEET = [
    ("train",), ("models",), ("drift",), ("data", "generate"), ("ingest", "upload", "FILE"),
    ("ingest", "check", "FILE"), ("ingest", "sweep"), ("ingest", "verify"), ("receipts",),
    ("rollback", "--why", "x"), ("feedback",), ("events",), ("card",), ("promote",),
    ("ingest", "again"), ("ingest", "release", "1", "--why", "x"), ("readings", "M1"),
    ("compact",), ("retention",), ("units",), ("score-arrivals",), ("alarms", "list"),
    ("alarms", "show", "1"), ("alarms", "close", "1", "--outcome", "false", "--why", "x"),
    ("alarms", "acknowledge", "1"), ("alarms", "assign", "1", "--to", "x"),
    ("alarms", "note", "1", "x"),
]  # fmt: skip
SHOWN.update(
    (name, ExitStatus.NOT_FOUND)
    for name in COMMANDS
    for command in _OF_A_FLEET
    if command[: len(name.split())] == tuple(name.split())
)


@pytest.mark.integration
@pytest.mark.parametrize("command", _OF_A_FLEET, ids=" ".join)
def test_an_unknown_fleet(
    plant: Settings, cli: Cli, command: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x\n", encoding="utf-8")
    named = [part.replace("FILE", str(file)) for part in command]
    done = cli(*named, "--fleet", "lathes", home=plant.home)
    assert (done.status, done.out) == (ExitStatus.NOT_FOUND, "")
    assert "there is no fleet lathes; there are: ai4i2020" in done.err


@pytest.mark.integration
@shows("fleet remove", ExitStatus.NOT_FOUND)
def test_fleets_of_a_running_api(
    plant: Settings, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, bad = tmp_path / "fans.toml", tmp_path / "bad.toml"
    spec.write_bytes(pumps_called("fans"))
    bad.write_bytes(b'name = "bad"\n')
    home = plant.home
    with serve_app(plant) as client:
        monkeypatch.setenv("PRESAGIO_API_URL", str(client.base_url).rstrip("/"))
        monkeypatch.setenv("PRESAGIO_CLIENT_SECRET", SECRETS["client_secret"].get_secret_value())
        added = cli("fleet", "add", spec, home=home)
        assert (added.status, added.err) == (ExitStatus.DONE, "")
        assert "fans is served at /fleets/fans: no model yet." in added.out
        assert "presagio train --fleet fans --csv FILE" in added.out
        listed = cli("fleet", "list", "--json", home=home).json
        assert [fleet["name"] for fleet in listed["fleets"]] == ["ai4i2020", "fans"]
        assert "ai4i2020 (default)" in cli("fleet", "list", home=home).out
        refused = cli("fleet", "add", bad, home=home)
        assert refused.status == ExitStatus.FAILED
        assert "bad.toml is not valid" in refused.err
        # A command about it finds it without a setting.
        none = cli("models", "--fleet", "fans", home=home)
        assert none.status == ExitStatus.DONE
        assert "train one: presagio train --fleet fans" in none.err
        removed = cli("fleet", "remove", "fans", "--json", home=home)
        assert removed.json == {"removed": "fans"}
        assert cli("fleet", "remove", "ai4i2020", home=home).status == ExitStatus.FAILED
        assert cli("fleet", "remove", "fans", home=home).status == ExitStatus.NOT_FOUND
    gone = cli("fleet", "list", home=home)
    assert gone.status == ExitStatus.FAILED
    assert "no API answers" in gone.err


@pytest.mark.integration
@shows("events", ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED)
def test_a_log_of_events(
    plant: Settings, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_MACHINE_SPEC", str(MOTORS))
    log, bad = tmp_path / "log.csv", tmp_path / "bad.csv"
    log.write_text("motor,taken_at,kind\nM1,2026-01-31,failure\n", encoding="utf-8")
    bad.write_text("motor,taken_at,kind\nM1,2026-01-31,fire\n", encoding="utf-8")
    late = cli("events", log, "--wait", "--timeout", "0.1", home=plant.home)
    assert late.status == ExitStatus.TIMED_OUT
    with _watcher(plant.model_copy(update={"machine_spec": str(MOTORS)})):
        done = cli("events", log, "--wait", "--json", home=plant.home)
        assert (done.status, done.json["receipt"]["verdict"]) == (ExitStatus.DONE, "processed")
        refused = cli("events", bad, "--wait", home=plant.home)
    assert refused.status == ExitStatus.QUARANTINED
    assert "unknown_category" in refused.out


@pytest.mark.integration
@shows("promote", ExitStatus.NOT_FOUND)
@shows("card", ExitStatus.NOT_FOUND)
@pytest.mark.parametrize("command", ["promote", "card"])
def test_an_unknown_version(plant: Settings, cli: Cli, command: str) -> None:
    for version in ("99999999", "no-number"):
        done = cli(command, version, home=plant.home)
        assert done.status == ExitStatus.NOT_FOUND, done.err
        assert f"no version {version}; see: presagio models" in done.err
    # There is no champion to go back from: no number was given that could be unknown.
    assert cli("rollback", "--why", "x", home=plant.home).status == ExitStatus.FAILED


@pytest.mark.integration
@shows("score", ExitStatus.NOT_FOUND)
def test_an_unknown_version_scores_nothing(plant: Settings, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n", encoding="utf-8")
    file, out = tmp_path / "a.csv", tmp_path / "out"
    done = cli("score", file, "--to", out, "--version", "99999999", home=plant.home)
    assert done.status == ExitStatus.NOT_FOUND, done.err
    assert not out.exists()


@pytest.mark.integration
@pytest.mark.slow
@shows("train", ExitStatus.NOT_PROMOTED)
@shows("promote", ExitStatus.NOT_PROMOTED)
@shows("rollback", ExitStatus.NOT_FOUND)
@shows("drift", ExitStatus.DRIFTED)
@shows("feedback", ExitStatus.NOT_FOUND, ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED)
def test_a_model_and_its_life(plant: Settings, spec: MachineSpec, cli: Cli, tmp_path: Path) -> None:
    home, file = plant.home, _readings(spec, tmp_path / "rows.csv", 1600, 75)
    train = ("train", "--csv", file, "--search", "small", "--json")
    first = cli(*train, "--unless-champion", home=home)
    assert first.status == ExitStatus.DONE, first.err
    page = tmp_path / "card.html"
    assert cli("card", "-o", page, home=home).status == ExitStatus.DONE
    assert "Model card: AI4I 2020 milling machine" in page.read_text(encoding="utf-8")
    assert cli("card", "1", "--json", home=home).json["card"] == first.json["card"]
    assert (first.json["registered"]["version"], first.json["decision"]["kind"]) == (
        "1", "promotion",
    )  # fmt: skip
    steps = [json.loads(line) for line in first.err.splitlines() if line.startswith("{")]
    assert [step["done"] for step in steps] == list(range(1, steps[0]["total"] + 1))
    again = cli(*train, "--unless-champion", home=home)
    assert (again.status, again.json["champion"]["version"]) == (ExitStatus.DONE, "1")
    # The same rows give the same model, which is no reason to change the champion.
    second = cli(*train, home=home)
    assert (second.status, second.json["decision"]["kind"]) == (ExitStatus.NOT_PROMOTED, "refusal")
    asked = cli("promote", home=home)
    assert asked.status == ExitStatus.NOT_PROMOTED
    assert "version 2 is not promoted: " in asked.out
    assert cli("promote", "2", "--force", home=home).status == ExitStatus.USAGE
    forced = cli("promote", "2", "--force", "--why", "a test", home=home)
    assert "version 2 is champion now, against the gate: a test" in forced.out
    assert cli("rollback", "99999999", "--why", "x", home=home).status == ExitStatus.NOT_FOUND
    assert "version 1 is champion again: done" in cli("rollback", "--why", "done", home=home).out
    kinds = [line["kind"] for line in cli("models", "--history", "--json", home=home).lines]
    assert kinds == ["rollback", "promotion", "refusal", "refusal", "promotion"]
    rows = [line.split("\t") for line in cli("models", home=home).out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["Version", "Alias"],
        ["2", "challenger"],
        ["1", "champion"],
    ]
    # Versions bear what became of them at the gate, the forced one too.
    assert [row[rows[0].index("Gate")] for row in rows] == ["Gate", "forced", "passed"]
    _drifts(plant, spec, cli, tmp_path)
    _comes_back(plant, spec, cli, tmp_path)


def _drifts(plant: Settings, spec: MachineSpec, cli: Cli, folder: Path) -> None:
    cli("ingest", _readings(spec, folder / "calm.csv", 250, 76), home=plant.home)
    assert cli("ingest", "sweep", home=plant.home).status == ExitStatus.DONE
    calm = cli("drift", "--json", home=plant.home)
    assert (calm.status, calm.json["drifted"]) == (ExitStatus.DONE, []), calm.err
    assert "airtemperature_k" in calm.json["undecided"]
    cli("ingest", _readings(spec, folder / "belt.csv", 250, 77, shift=12.0), home=plant.home)
    assert cli("ingest", "sweep", home=plant.home).status == ExitStatus.DONE
    worn = cli("drift", "--json", home=plant.home)
    assert worn.status == ExitStatus.DRIFTED
    verdicts = {column["name"]: column["verdict"] for column in worn.json["columns"]}
    assert verdicts["torque_nm"] == "drift"
    assert verdicts["airtemperature_k"] == "cannot tell"


def _comes_back(plant: Settings, spec: MachineSpec, cli: Cli, folder: Path) -> None:
    file = _readings(spec, folder / "outcomes.csv", 100, 78)
    unknown = folder / "ids.csv"
    unknown.write_text("UDI,Machine failure\n1,0\n", encoding="utf-8")
    done = cli("feedback", unknown, "--receipt", "99999999", home=plant.home)
    assert done.status == ExitStatus.NOT_FOUND, done.err
    late = cli("feedback", file, "--wait", "--timeout", "0.1", home=plant.home)
    assert late.status == ExitStatus.TIMED_OUT
    with _watcher(plant):
        done = cli("feedback", file, "--wait", "--json", home=plant.home)
    assert (done.status, done.json["receipt"]["verdict"]) == (ExitStatus.DONE, "processed")
    more = _readings(spec, folder / "more.csv", 100, 79)
    with _watcher(plant.model_copy(update={"max_columns": 3})):
        done = cli("feedback", more, "--wait", home=plant.home)
    assert done.status == ExitStatus.QUARANTINED


def test_every_status_of_every_command_is_shown() -> None:
    listed = {(name, status) for name, each in COMMANDS.items() for status in each.ends}
    assert listed == SHOWN
