"""States of units in the real PostgreSQL: found worst first, in pages, and quickly."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from presagio.storage.alarm_entries import close_case, open_case
from presagio.storage.database import open_database
from presagio.storage.unit_states import UnitStates, lock_states, write_states
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration

_NOW = datetime.now(UTC)
_EARLIER = _NOW - timedelta(days=2)


@pytest.fixture(scope="module")
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings)
    yield engine
    engine.dispose()


def _row(fleet: str, unit: str, state: str, probability: float, **more: Any) -> dict[str, Any]:
    return {
        "fleet": fleet, "unit": unit, "state": state, "since": _NOW, "reading_time": 1.0,
        "reading_at": "1", "probability": probability, "score": 0.0, "label": state != "well",
        "mode": None, "remaining_life": None, "remaining_low": None, "remaining_high": None,
        "receipt_id": 1, "model": "m", "version": "1", "diagnosis": None, "memory": {},
        "updated_at": _NOW, **more,
    }  # fmt: skip


@pytest.fixture
def states(engine: sa.Engine) -> UnitStates:
    fleet = f"fleet-{uuid4().hex[:8]}"
    with engine.begin() as connection:
        write_states(
            connection,
            [
                _row(fleet, "Pump 1", "well", 0.1),
                _row(fleet, "pump 2", "watch", 0.4),
                _row(fleet, "fan/1", "alarm", 0.8, updated_at=_EARLIER),
                _row(fleet, "fan 2", "alarm", 0.9),
                _row(fleet, "<b>%_", "well", 0.2, updated_at=_EARLIER),
            ],
        )
    return UnitStates(engine, fleet)


def _units(found: list[Any]) -> list[str]:
    return [state.unit for state in found]


def test_the_worst_come_first_in_pages(states: UnitStates) -> None:
    found = states.page()
    assert _units(found) == ["fan 2", "fan/1", "pump 2", "<b>%_", "Pump 1"]
    pages, after = list[str](), None
    while page := states.page(after=after, limit=2):
        pages += _units(page)
        after = page[-1].place
    assert pages == _units(found)


def test_units_are_found_by_state_and_name(states: UnitStates) -> None:
    assert _units(states.page(state="alarm")) == ["fan 2", "fan/1"]
    assert _units(states.page(state="well", search="pump")) == ["Pump 1"]
    assert _units(states.page(search="UMP")) == ["pump 2", "Pump 1"]
    assert _units(states.page(search="%")) == ["<b>%_"]
    assert _units(states.page(search="nothing")) == []


def test_a_silent_unit_has_no_data_unless_a_case_is_open(states: UnitStates) -> None:
    since = _NOW - timedelta(days=1)
    assert _units(states.page(state="no data", silent_since=since)) == ["<b>%_"]
    assert _units(states.page(state="well", silent_since=since)) == ["Pump 1"]
    assert _units(states.page(state="alarm", silent_since=since)) == ["fan 2", "fan/1"]
    assert states.page(state="no data") == []
    shown = {one.unit: one.shown(since) for one in states.page()}
    assert (shown["<b>%_"], shown["fan/1"], shown["Pump 1"]) == ("no data", "alarm", "well")
    assert states.counts(silent_since=since) == {"alarm": 2, "watch": 1, "well": 1, "no data": 1}
    assert states.counts() == {"alarm": 2, "watch": 1, "well": 2, "no data": 0}


def test_a_unit_without_a_score_has_no_data_unless_a_case_is_open(
    states: UnitStates, engine: sa.Engine
) -> None:
    rows = [_row(states._fleet, f"e {state}", state, 0.0) for state in ("well", "alarm")]
    with engine.begin() as connection:
        write_states(connection, [{**row, "score": None, "probability": None} for row in rows])
    assert _units(states.page(state="no data")) == ["e well"]
    assert _units(states.page(state="well", search="e ")) == []
    assert _units(states.page(state="alarm", search="e ")) == ["e alarm"]
    shown = {one.unit: one.shown(None) for one in states.page(search="e ")}
    assert shown == {"e alarm": "alarm", "e well": "no data"}
    assert states.counts()["no data"] == 1


def test_one_unit_is_found_by_its_name(states: UnitStates) -> None:
    found = states.one("fan/1")
    assert found is not None
    assert (found.state, found.probability, found.reading_at) == ("alarm", 0.8, "1")
    assert states.one("nobody") is None
    assert UnitStates(states._engine, "another").one("fan/1") is None


def test_a_newer_state_takes_the_place_of_the_old_one(
    states: UnitStates, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        assert [*lock_states(connection, states._fleet, ["pump 2", "x"])] == ["pump 2"]
        write_states(connection, [_row(states._fleet, "pump 2", "well", 0.05, reading_time=2.0)])
    found = states.one("pump 2")
    assert found is not None
    assert (found.state, found.reading_time) == ("well", 2.0)


def test_a_unit_leaves_its_alarm_with_its_last_case(states: UnitStates, engine: sa.Engine) -> None:
    place = {"fleet": states._fleet, "unit": "fan 2", "receipt_id": 1, "model": "m"}
    rest = {"reading_time": 1.0, "reading_at": "1", "version": "1", "probability": 0.9}
    numbers, seen = [], []
    for mode in ("wear", "heat"):
        with engine.begin() as connection:
            values = {**place, **rest, "mode": mode, "diagnosis": None}
            numbers.append(open_case(connection, values))
    for number in numbers:
        with engine.begin() as connection:
            assert number is not None
            close_case(connection, number, "false", "ana", "x")
        found = states.one("fan 2")
        assert found is not None
        seen.append(found.state)
    assert seen == ["alarm", "watch"]


def test_a_hundred_thousand_units_are_asked_by_an_index(engine: sa.Engine) -> None:
    fleet = f"fleet-{uuid4().hex[:8]}"
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO unit_states (fleet, unit, state, probability, score, label, "
                "receipt_id, model, version, memory) SELECT :fleet, 'unit ' || i, CASE "
                "WHEN i % 1000 = 0 THEN 'alarm' WHEN i % 100 = 0 THEN 'watch' ELSE 'well' END, "
                "i / 1e5, 0, i % 100 = 0, 1, 'm', '1', '{}' FROM generate_series(1, 100000) AS i"
            ),
            {"fleet": fleet},
        )
    states, since = UnitStates(engine, fleet), _NOW - timedelta(days=1)
    begin = time.monotonic()
    assert len(states.page(silent_since=since)) == 50
    assert states.page(state="watch", silent_since=since)[0].unit == "unit 99900"
    assert states.page(search="unit 12345")[0].unit == "unit 12345"
    assert states.one("unit 5") is not None
    assert states.counts(silent_since=since)["alarm"] == 100
    assert time.monotonic() - begin < 3.0
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM unit_states WHERE fleet = :f"), {"f": fleet})
