"""Commands as a user calls them."""

import json
import os
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import polars as pl
import pytest

from presagio.cli.output import local_time
from presagio.settings import Settings
from presagio.stack.layout import Layout
from presagio.stack.processes import left_over
from presagio.storage.objects import open_store
from tests.commands import run_command
from tests.conftest import RunningServices, free_ports


def presagio(*arguments: str | Path, home: Path, **env: str) -> CompletedProcess[str]:
    """Run a command on a home."""
    return run_command(*arguments, PRESAGIO_HOME=str(home), **env)


def test_version(tmp_path: Path) -> None:
    assert presagio("--version", home=tmp_path).stdout.strip() == "0.1.0"


def test_the_module_is_a_program(tmp_path: Path) -> None:
    """Streams and exit status of a process are those that the other tests see."""
    done = subprocess.run(
        [sys.executable, "-m", "presagio", "logs", "web"],
        env=os.environ | {"PRESAGIO_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    here = presagio("logs", "web", home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        here.returncode, here.stdout, here.stderr,
    )  # fmt: skip
    assert done.returncode == 9


def test_rows_are_generated_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    done = presagio("data", "generate", "--rows", "12000", "--json", "-o", file, home=tmp_path)
    frame = pl.read_csv(file)
    assert json.loads(done.stdout) == {
        "path": str(file), "rows": 12000, "failures": int(frame["machine_failure"].sum()),
    }  # fmt: skip
    assert len(frame) == 12000


def test_generated_rows_go_into_the_home_by_default(tmp_path: Path) -> None:
    done = presagio("data", "generate", "--rows", "100", home=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "data" / "generated.csv").exists()
    assert "100 rows" in done.stdout


def test_no_stack_is_status_three(tmp_path: Path) -> None:
    done = presagio("status", home=tmp_path)
    assert done.returncode == 3
    assert "No stack runs" in done.stdout
    assert json.loads(presagio("status", "--json", home=tmp_path).stdout)["phase"] == "stopped"


def test_down_without_a_stack_is_fine(tmp_path: Path) -> None:
    done = presagio("down", home=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "No stack runs.")


def test_logs_of_an_unknown_service_name_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text("one\ntwo\nthree\n", encoding="utf-8")
    unknown = presagio("logs", "web", home=tmp_path)
    assert unknown.returncode == 9
    assert "there are: api" in unknown.stderr
    assert presagio("logs", "api", "-n", "2", home=tmp_path).stdout == "two\nthree\n"


@pytest.mark.parametrize(
    "arguments", [("up", "--port", "web=1"), ("up", "--detach", "--port", "api=x")]
)
def test_a_port_that_is_none_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = presagio(*arguments, home=tmp_path)
    assert done.returncode == 2
    assert "write SERVICE=PORT" in done.stderr


def test_a_setting_that_cannot_be_used_names_its_variable(tmp_path: Path) -> None:
    done = presagio("status", home=tmp_path, PRESAGIO_REGISTRY_POLL_S="-1")
    assert done.returncode == 1
    assert "PRESAGIO_REGISTRY_POLL_S" in done.stderr


def test_without_a_stack_an_ingest_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x\n", encoding="utf-8")
    done = presagio("ingest", file, home=tmp_path)
    assert done.returncode == 1
    assert "presagio up" in done.stderr


def test_two_sources_at_once_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x\n", encoding="utf-8")
    done = presagio("train", "--csv", file, "--processed", home=tmp_path)
    assert done.returncode == 2


@pytest.fixture
def settings(services: RunningServices) -> Settings:
    return services.settings


@pytest.mark.integration
def test_an_upload_waits_in_vain_without_a_watcher(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x\n", encoding="utf-8")
    done = presagio("ingest", file, home=settings.home)
    assert (done.returncode, "uploaded as incoming/rows.csv" in done.stdout) == (0, True)
    done = presagio("ingest", file, "--wait", "--timeout", "1", "--json", home=settings.home)
    assert done.returncode == 4
    assert json.loads(done.stdout)["receipt"] is None


@pytest.mark.integration
def test_a_file_is_uploaded_filed_looked_at_and_verified(
    settings: Settings, tmp_path: Path
) -> None:
    """The intake without Airflow: upload, sweep, receipts, verify, release."""
    home, file, bad = settings.home, tmp_path / "rows.csv", tmp_path / "bad.csv"
    presagio("data", "generate", "--rows", "300", "-o", file, home=home)
    bad.write_text(file.read_text(encoding="utf-8").replace("true", "maybe"), encoding="utf-8")
    own = {"PRESAGIO_S3_BUCKET": "commands", "PRESAGIO_DATA_BUCKET": "commands"}
    open_store(settings).create_bucket("commands")
    assert "uploaded as incoming/bad.csv" in presagio("ingest", file, bad, home=home, **own).stdout
    swept = presagio("ingest", "sweep", home=home, **own).stdout
    assert "incoming/rows.csv: processed, 300 of 300 rows taken" in swept
    assert "files 2, files quarantined 1" in swept
    done = presagio("receipts", "--key", "incoming/bad.csv", "--json", home=home, **own)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (refused,) = [line for line in lines if line["bucket"] == "commands"]
    assert refused["notes"]["refused"] == "too_many_bad_rows"
    shown = presagio("receipts", str(refused["id"]), home=home, **own).stdout
    assert f"sha256\t{refused['sha256']}\n" in shown
    assert "sweep by" in shown
    table = [line.split("\t") for line in presagio("receipts", home=home).stdout.splitlines()]
    assert table[0][:4] == ["Receipt", "Filed", "Key", "Verdict"]
    (row,) = [row for row in table if row[0] == str(refused["id"])]
    assert row[1] == local_time(datetime.fromisoformat(refused["created_at"]))
    assert row[-1] == refused["sha256"]
    blocked = presagio("train", "--processed", home=home, **own)
    assert blocked.returncode == 1
    assert "ingest release" in blocked.stderr
    verified = presagio("ingest", "verify", "--deep", home=home, **own)
    assert verified.returncode == 0
    assert "0 differences left" in verified.stdout
    release = ("ingest", "release", str(refused["id"]), "--why", "a test")
    freed = presagio(*release, home=home, **own)
    assert "no longer blocks training" in freed.stdout
    again = presagio(*release, "--json", home=home, **own)
    assert (again.returncode, json.loads(again.stdout)["released"]) == (0, False)
    assert "blocks nothing: it was released on " in json.loads(again.stdout)["note"]
    (taken,) = [line for line in _receipts(home, own) if line["key"] == "incoming/rows.csv"]
    idle = presagio("ingest", "release", str(taken["id"]), "--why", "x", home=home, **own)
    assert (idle.returncode, idle.stdout) == (1, "")
    assert "(incoming/rows.csv) blocks nothing: its rows were taken" in idle.stderr


def _receipts(home: Path, env: dict[str, str]) -> list[dict[str, Any]]:
    lines = presagio("receipts", "--json", home=home, **env).stdout.splitlines()
    return [line for line in map(json.loads, lines) if line["bucket"] == env["PRESAGIO_S3_BUCKET"]]


@pytest.mark.integration
def test_a_difference_is_exit_status_five(settings: Settings) -> None:
    own = {"PRESAGIO_S3_BUCKET": "strange", "PRESAGIO_DATA_BUCKET": "strange"}
    store = open_store(settings)
    store.create_bucket("strange")
    store.write("strange", "processed/x.csv", b"x")
    done = presagio("ingest", "verify", "--json", home=settings.home, **own)
    assert done.returncode == 5
    (difference,) = json.loads(done.stdout)["differences"]
    assert difference["kind"] == "unknown_object"
    # By its former name too.
    assert (difference["repaired"], difference["mended"]) == (False, False)


def test_files_are_checked_without_a_stack(tmp_path: Path) -> None:
    good, bad, no_table = (tmp_path / f"{name}.csv" for name in ("good", "bad", "none"))
    presagio("data", "generate", "--rows", "100", "-o", good, home=tmp_path)
    text = good.read_text(encoding="utf-8")
    bad.write_text(text.replace("true", "maybe"), encoding="utf-8")
    no_table.write_text("a,b\n", encoding="utf-8")
    done = presagio("ingest", "check", good, home=tmp_path)
    assert (done.returncode, "100 of 100 rows are good" in done.stdout) == (0, True)
    done = presagio("ingest", "check", bad, no_table, home=tmp_path)
    assert done.returncode == 6
    assert "allowed: true or false" in done.stdout
    assert "no column for airtemperature_k" in done.stdout
    done = presagio("ingest", "check", bad, no_table, "--json", home=tmp_path)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["refused"] for answer in said] == ["too_many_bad_rows", "missing_columns"]
    assert said[0]["rejected"][0]["faults"][0]["reason"] == "not_a_boolean"


def test_what_the_intake_does_not_take_is_not_uploaded(tmp_path: Path) -> None:
    file = tmp_path / "rows.xls"
    file.write_text("x", encoding="utf-8")
    done = presagio("ingest", "upload", file, home=tmp_path)
    assert done.returncode == 2
    assert ".csv.gz" in done.stderr


def test_a_file_that_is_too_large_is_not_uploaded(tmp_path: Path) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text("x", encoding="utf-8")
    with large.open("wb") as file:
        file.truncate(2 << 20)
    limit = {"PRESAGIO_INTAKE_MAX_FILE_BYTES": str(1 << 20)}
    # Nothing is sent, and so nothing has to be there.
    nowhere = limit | {
        "PRESAGIO_S3_ENDPOINT": "http://127.0.0.1:9", "PRESAGIO_S3_ACCESS_KEY": "x",
        "PRESAGIO_S3_SECRET_KEY": "x", "PRESAGIO_DATABASE_URL": "postgresql+psycopg://127.0.0.1:9/x",
    }  # fmt: skip
    done = presagio("ingest", small, large, home=tmp_path, **nowhere)
    assert done.returncode == 1
    assert "has 2,097,152 bytes, and a file may have 1,048,576: divide it" in done.stderr
    done = presagio("ingest", "check", large, "--json", home=tmp_path, **limit)
    assert (done.returncode, json.loads(done.stdout)["refused"]) == (6, "too_large")


@pytest.mark.integration
def test_receipts_are_empty_at_first(settings: Settings) -> None:
    done = presagio("receipts", home=settings.home)
    assert done.returncode == 0
    assert "Refused" in done.stdout


def test_a_start_that_fails_says_why_and_leaves_nothing(stack_home: Path) -> None:
    others = vars(free_ports())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = [part for name, number in (others | {"s3": port}).items()
                 for part in ("--port", f"{name}={number}")]  # fmt: skip
        for detach in ((), ("--detach",)):
            done = presagio("up", *detach, *ports, home=stack_home / "home")
            assert done.returncode == 1
            assert f"port {port}, which s3 needs" in done.stderr
    assert left_over(Layout(stack_home / "home")) == []
