"""Fleets side by side in one stack: real drives beside the default machine, from file to rollback.

The worlds hand specs on in different ways, and in containers each program has rights of its own in
S3, MLflow and Airflow: in both, files of a fleet that was there at the start are filed, and one
that is added is filed, trained by its DAG and served (in containers from the console:
test_console_in_containers.py). What follows is alike.
"""

import json
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from presagio.jobs.api_client import authorization
from presagio.machine.spec import MachineSpec
from presagio.settings.private import reveal
from tests.drives import drive_days
from tests.e2e.chromium import chromium, needs_chromium, open_tab
from tests.e2e.stack import Stack, eventually
from tests.pumps import pump_csv, pumps_called

_DRIVE = {"smart_1_raw": 9e7, "smart_5_raw": 900, "smart_194_raw": 30, "smart_197_raw": None}


def _ask(stack: Stack, method: str, path: str, **what: Any) -> httpx.Response:
    asked = authorization(stack.settings)
    return httpx.request(
        method, f"{stack.settings.api_url}{path}", headers=asked, timeout=30, **what
    )


def _predict(stack: Stack, route: str, features: Any) -> httpx.Response:
    return _ask(stack, "POST", f"{route}/predict", json={"request_id": 1, "features": features})


def _file(stack: Stack, fleet: str, path: Path, body: bytes) -> dict[str, Any]:
    """Put a file through the intake of a fleet, whose DAG files it; return its receipt."""
    path.write_bytes(body)
    done = stack.call("ingest", path, "--fleet", fleet, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["receipt"])


def _served(stack: Stack, fleet: str) -> tuple[str, str]:
    state = _ask(stack, "GET", f"/fleets/{fleet}").raise_for_status().json()
    return state["model"], state["version"]


@pytest.fixture
def further_days(stack: Stack, tmp_path: Path) -> pl.DataFrame:
    """Days of drives that are not filed; the fleet has been given its first champion by others."""
    days = drive_days(3000)
    half = len(days) // 2
    if _ask(stack, "GET", "/fleets/drives").raise_for_status().json()["degraded"]:
        waiting = _predict(stack, "/fleets/drives", _DRIVE)
        assert waiting.json()["type"] == "urn:presagio:problem:no-model"
        filed = _file(stack, "drives", tmp_path / "days.csv", days[:half].write_csv().encode())
        assert (filed["fleet"], filed["processed_key"]) == ("drives", "processed/drives/days.csv")
        assert filed["rows_processed"] == half
        # By its own DAG.
        stack.succeed("train_champion_drives", conf={"min_new_rows": 1})
        assert eventually(lambda: _served(stack, "drives") == ("svm_drives", "1"), limit_s=30)
    return days[half:]


def test_drives_and_the_default_machine_are_served_side_by_side(
    stack: Stack, further_days: pl.DataFrame, spec: MachineSpec, tmp_path: Path
) -> None:
    before = stack.ready()["version"]
    assert _predict(stack, "", spec.example).json()["model"] == "svm_prod"
    answer = _predict(stack, "/fleets/drives", _DRIVE).json()
    assert (answer["version"], answer["imputed"]) == ("1", ["smart_197_raw"])

    warm = further_days.with_columns(pl.col("smart_194_raw") + 15)
    _file(stack, "drives", tmp_path / "warm.csv", warm.write_csv().encode())
    stack.succeed("monitor_drift_drives")
    drift = json.loads(stack.call("drift", "--fleet", "drives", "--json").stdout)
    assert "smart_194_raw" in drift["drifted"]
    assert drift["page"].startswith("monitoring/drives/drift-")

    second = stack.call("train", "--fleet", "drives", "--processed", "--challenger", "--json")
    assert second.returncode == 0, second.stderr
    forced = stack.call("promote", "2", "--fleet", "drives", "--force", "--why", "a drill")
    assert forced.returncode == 0, forced.stderr
    assert eventually(lambda: _served(stack, "drives")[1] == "2", limit_s=30)
    back = stack.call("rollback", "--fleet", "drives", "--why", "it was a drill")
    assert back.returncode == 0, back.stderr
    assert eventually(lambda: _served(stack, "drives")[1] == "1", limit_s=30)

    stack.succeed("ingest_verify_drives", "ingest_verify", conf={"repair": False})
    # Nothing of it has touched the default fleet.
    assert stack.ready()["version"] == before
    assert all(decision["model"] == "svm_prod" for decision in stack.decisions())


def _failing_days(stack: Stack, unit: str) -> pl.DataFrame:
    """Return days of a drive, like the one that the champion thinks worst of."""
    days = drive_days(3000)
    failed = days.filter(pl.col("failure") == 1)
    readings = failed.select(*_DRIVE).to_dicts()
    where = f"{stack.settings.api_url}/fleets/drives/predict"
    # A token takes longer than all answers.
    with httpx.Client(headers=authorization(stack.settings), timeout=30) as api:
        answers = [
            api.post(where, json={"request_id": 1, "features": reading}).raise_for_status().json()
            for reading in readings
        ]
    worst = max(range(len(answers)), key=lambda place: answers[place]["probability"])
    assert answers[worst]["label"], answers[worst]
    dates = [str(date(2013, 12, 20) + timedelta(day)) for day in range(3)]
    # What becomes of it nobody knows yet.
    return (
        pl.concat([failed[worst]] * 3)
        .drop("failure")
        .with_columns(serial_number=pl.lit(unit), date=pl.Series(dates))
    )


@needs_chromium
@pytest.mark.usefixtures("further_days")
def test_a_file_sent_from_the_console_is_an_alarm_on_the_open_shift_page(
    stack: Stack, tmp_path: Path
) -> None:
    """Nobody does anything between: it is filed, scored and shown by itself."""
    unit = f"E2E-{time.time_ns()}"
    path = tmp_path / f"{unit}.csv"
    _failing_days(stack, unit).write_csv(path)
    password = reveal(stack.settings.admin_password, "PRESAGIO_ADMIN_PASSWORD")
    with chromium() as browser:
        shift = open_tab(browser, stack.settings.console_url)
        shift.open(f"/?fleet=drives&search={unit}")
        shift.sign_in("admin", password)
        assert "No unit is like this." in shift.text()
        files = open_tab(browser, stack.settings.console_url)
        files.page.context.add_cookies(shift.page.context.cookies())  # type: ignore[arg-type]
        files.open("/files?fleet=drives")
        files.page.get_by_label("Fleet").first.select_option("drives")
        files.page.set_input_files("input[type=file]", path)
        files.page.get_by_text("3 of 3 rows are good.").wait_for()
        files.page.get_by_role("button", name="Send", exact=True).click()
        files.page.get_by_text("Sent.").wait_for()
        sent = time.monotonic()
        link = shift.page.get_by_role("row").filter(has_text=unit).filter(has_text="Alarm")
        link.wait_for(timeout=60_000)
        print(f"from the file sent to the alarm shown: {time.monotonic() - sent:.1f} s")
        shift.page.get_by_role("link", name=unit).click()
        shift.page.get_by_role("link", name="Work on alarm").click()
        shift.page.get_by_role("button", name="I have seen it").wait_for()
        assert shift.faults() == []


@pytest.mark.containers
def test_a_fleet_whose_spec_is_mounted_is_filed(stack: Stack, tmp_path: Path) -> None:
    days = drive_days(3000)[-200:].write_csv().encode()
    filed = _file(stack, "drives", tmp_path / "last days.csv", days)
    assert (filed["fleet"], filed["rows_processed"]) == ("drives", 200)


# In containers one is added from the console.
@pytest.mark.nightly
def test_a_fleet_is_added_to_the_running_stack(stack: Stack, tmp_path: Path) -> None:
    spec = tmp_path / "fans.toml"
    spec.write_bytes(pumps_called("fans"))
    added = stack.call("fleet", "add", spec, "--json")
    assert added.returncode == 0, added.stderr
    reading = {"pressure_bar": 19, "flow": 21.0, "seal_double": True}
    assert _predict(stack, "/fleets/fans", reading).status_code == 503
    # Its DAGs come when Airflow reads the files again.
    stack.read_dag_files("csv_file_watcher", "train_champion")
    filed = _file(stack, "fans", tmp_path / "fans.csv", pump_csv(1200))
    assert filed["processed_key"] == "processed/fans/fans.csv"
    stack.succeed("train_champion_fans", conf={"min_new_rows": 1})
    assert eventually(lambda: _served(stack, "fans") == ("svm_fans", "1"), limit_s=30)
    assert _predict(stack, "/fleets/fans", reading).json()["model"] == "svm_fans"
    with stack.airflow() as airflow:
        dags = airflow.get("/dags?limit=100").raise_for_status().json()["dags"]
    assert {"csv_file_watcher", "csv_file_watcher_drives", "csv_file_watcher_fans"} <= {
        dag["dag_id"] for dag in dags
    }

    removed = stack.call("fleet", "remove", "fans")
    assert removed.returncode == 0, removed.stderr
    gone = _predict(stack, "/fleets/fans", reading)
    assert gone.status_code == 404
    assert "there are: ai4i2020, drives" in gone.json()["detail"]
