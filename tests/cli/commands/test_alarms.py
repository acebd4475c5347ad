"""The commands on units and alarms: list, show, note, close with an outcome."""

import getpass
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from presagio.settings import Settings
from presagio.storage.alarm_entries import open_case
from presagio.storage.alarm_tables import UNIT_STATES
from presagio.storage.database import open_database
from presagio.storage.unit_states import write_states
from tests.commands import run_command
from tests.engines import ENGINES

pytestmark = pytest.mark.integration


def _lines(*arguments: object) -> list[Any]:
    done = run_command(*map(str, arguments), "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def case(plant: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A unit with an open case."""
    monkeypatch.setenv("PRESAGIO_MACHINE_SPEC", str(ENGINES))
    engine, unit = open_database(plant), f"Engine {uuid4().hex[:8]}"
    shared = {
        "fleet": "", "unit": unit, "mode": "", "receipt_id": 1, "model": "m", "version": "3",
        "reading_time": 131.0, "reading_at": "131.0", "probability": 0.93,
        "diagnosis": {"contributions": {"sensor_2": 0.4}},
    }  # fmt: skip
    state = {
        **shared, "state": "alarm", "since": sa.func.now(), "score": 2.0, "label": True,
        "remaining_life": 12.5, "remaining_low": None, "remaining_high": None, "memory": {},
        "updated_at": sa.func.now(),
    }  # fmt: skip
    with engine.begin() as connection:
        number = open_case(connection, shared)
        for name in ("since", "updated_at"):
            state[name] = connection.execute(sa.select(sa.func.now())).scalar_one()
        write_states(connection, [state])
    assert number is not None
    yield unit, number
    with engine.begin() as connection:
        connection.execute(sa.delete(UNIT_STATES).where(UNIT_STATES.c.unit == unit))
    engine.dispose()


def test_units_are_listed_the_worst_first(case: tuple[str, int]) -> None:
    unit, _ = case
    (found,) = _lines("units", "--search", unit.upper())
    assert (found["unit"], found["state"], found["remaining_life"]) == (unit, "alarm", 12.5)
    assert "memory" not in found
    assert _lines("units", "--state", "no-data", "--search", unit) == []
    shown = run_command("units", "--state", "alarm", "--search", unit)
    assert f"{unit}\talarm\t" in shown.stdout
    assert "0.930" in shown.stdout
    assert run_command("units", "--state", "ill").returncode == 2


def test_an_alarm_is_followed_to_its_outcome(case: tuple[str, int]) -> None:
    unit, number = case
    (listed,) = _lines("alarms", "--unit", unit)
    assert (listed["id"], listed["is_open"], listed["fleet"]) == (number, True, "engines")
    assert str(number) in run_command("alarms").stdout
    assert run_command("alarms", "acknowledge", str(number)).returncode == 0
    assert run_command("alarms", "assign", str(number), "--to", "Eva").returncode == 0
    assert run_command("alarms", "note", str(number), "part ordered").returncode == 0
    (done,) = _lines("alarms", "close", number, "--outcome", "repair", "--why", "new bearing")
    assert (done["outcome"], done["at"]) == ("repair", "131.0")
    assert done["event"].startswith(f"incoming/events/alarm-{number}-")
    assert run_command("ingest", "sweep").returncode == 0
    (event,) = _lines("events", "--unit", unit)
    assert (event["kind"], event["time"]) == ("repair", 131.0)
    (shown,) = _lines("alarms", "show", number)
    assert [entry["kind"] for entry in shown["entries"]] == [
        "opened", "acknowledged", "assigned", "noted", "closed",
    ]  # fmt: skip
    assert {entry["who"] for entry in shown["entries"][1:]} == {getpass.getuser()}
    text = run_command("alarms", "show", str(number)).stdout
    assert "new bearing" in text
    assert "part ordered" in text
    assert _lines("alarms", "--unit", unit) == []
    assert [one["outcome"] for one in _lines("alarms", "--unit", unit, "--all")] == ["repair"]
    again = run_command("alarms", "close", str(number), "--outcome", "false", "--why", "x")
    assert (again.returncode, again.stdout) == (1, "")
    assert f"alarm {number} is closed already" in again.stderr
    unknown = run_command("alarms", "show", "99999999")
    assert unknown.returncode == 9
    assert "there is no alarm 99999999" in unknown.stderr


@pytest.mark.usefixtures("case")
def test_nothing_is_scored_without_a_champion() -> None:
    done = run_command("score-arrivals")
    assert done.returncode == 0, done.stderr
    assert "0 files scored" in done.stdout
