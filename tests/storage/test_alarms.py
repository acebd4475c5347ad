"""Cases in the real PostgreSQL: one open a unit and mode, and nothing is ever altered."""

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from presagio.errors import ConflictError, NotFoundError, StorageError
from presagio.storage.alarm_entries import close_case, open_case, open_of_units
from presagio.storage.alarms import Alarms
from presagio.storage.audit import AuditLog
from presagio.storage.database import open_database, translated
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings)
    yield engine
    engine.dispose()


@pytest.fixture
def alarms(engine: sa.Engine) -> Alarms:
    return Alarms(engine, f"fleet-{uuid4().hex[:8]}")


Opener = Callable[..., int | None]


@pytest.fixture
def opened(engine: sa.Engine, alarms: Alarms) -> Opener:
    def open_one(unit: str = "u", mode: str = "") -> int | None:
        values: dict[str, Any] = {
            "fleet": alarms._fleet, "unit": unit, "mode": mode, "receipt_id": 7,
            "reading_time": 3.0, "reading_at": "3", "model": "m", "version": "1",
            "probability": 0.9, "diagnosis": {"mode": mode},
        }  # fmt: skip
        with engine.begin() as connection:
            return open_case(connection, values)

    return open_one


def _numbers(cases: list[Any]) -> list[int]:
    return [case.id for case in cases]


def test_a_unit_has_one_open_case_a_mode(alarms: Alarms, opened: Opener) -> None:
    first = opened("u", "wear")
    assert first is not None
    assert opened("u", "wear") is None
    other, third = opened("u", "heat"), opened("v", "wear")
    assert _numbers(alarms.cases(open_only=True)) == [third, other, first]
    assert _numbers(alarms.cases(open_only=True, unit="u", limit=1)) == [other]
    assert _numbers(alarms.cases(open_only=True, before=other)) == [first]
    assert alarms.count_open() == 3
    case = alarms.case(first)
    assert (case.unit, case.mode, case.receipt_id, case.reading_at) == ("u", "wear", 7, "3")
    assert (case.is_open, case.outcome, case.acknowledged_by) == (True, None, None)


def test_of_many_that_open_the_same_case_one_does(alarms: Alarms, opened: Opener) -> None:
    found: list[int | None] = []
    threads = [threading.Thread(target=lambda: found.append(opened())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (number,) = [one for one in found if one is not None]
    assert _numbers(alarms.cases()) == [number]


def test_what_people_do_to_a_case_is_kept_and_audited(
    alarms: Alarms, opened: Opener, engine: sa.Engine
) -> None:
    number = opened()
    assert number is not None
    alarms.acknowledge(number, "ana")
    alarms.acknowledge(number, "ben")
    alarms.assign(number, "ana", "ben")
    alarms.assign(number, "ana", "eva")
    alarms.note(number, "eva", "spare part ordered")
    closed = alarms.close(number, "repair", "eva", "bearing replaced")
    assert (closed.is_open, closed.outcome, closed.closed_by) == (False, "repair", "eva")
    assert (closed.acknowledged_by, closed.assigned_to) == ("ana", "eva")
    assert closed.why == "bearing replaced"
    assert closed.closed_at is not None
    assert [(entry.kind, entry.who) for entry in alarms.entries(number)] == [
        ("opened", "presagio"), ("acknowledged", "ana"), ("acknowledged", "ben"),
        ("assigned", "ana"), ("assigned", "ana"), ("noted", "eva"), ("closed", "eva"),
    ]  # fmt: skip
    audited = AuditLog(engine).entries(target=f"alarm {number}")
    assert [entry.action for entry in audited] == [
        "alarm.close", "alarm.note", "alarm.assign", "alarm.assign", "alarm.acknowledge",
        "alarm.acknowledge",
    ]  # fmt: skip
    assert audited[0].detail == {"outcome": "repair"}
    assert (audited[0].who, audited[0].scope, audited[0].why) == (
        "eva", "operate", "bearing replaced",
    )  # fmt: skip


def test_a_closed_case_stays_closed_and_another_may_open(alarms: Alarms, opened: Opener) -> None:
    number = opened()
    assert number is not None
    alarms.close(number, "false", "ana", "sensor was loose")
    for change in (
        lambda: alarms.close(number, "failure", "ben", "x"),
        lambda: alarms.acknowledge(number, "ben"),
        lambda: alarms.assign(number, "ben", "eva"),
        lambda: alarms.note(number, "ben", "x"),
    ):
        with pytest.raises(ConflictError, match=f"alarm {number} is closed already"):
            change()
    assert [entry.kind for entry in alarms.entries(number)] == ["opened", "closed"]
    again = opened()
    assert _numbers(alarms.cases(open_only=True)) == [again]
    assert _numbers(alarms.cases()) == [again, number]


def test_of_two_who_close_a_case_one_does(alarms: Alarms, opened: Opener) -> None:
    number, refused = opened(), list[Exception]()
    assert number is not None

    def close(who: str) -> None:
        try:
            alarms.close(number, "false", who, "x")
        except ConflictError as err:
            refused.append(err)

    threads = [threading.Thread(target=close, args=(who,)) for who in ("ana", "ben", "eva")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 2
    assert [entry.kind for entry in alarms.entries(number)] == ["opened", "closed"]


def test_another_fleet_has_no_such_case(alarms: Alarms, opened: Opener, engine: sa.Engine) -> None:
    number, other = opened(), Alarms(engine, f"fleet-{uuid4().hex[:8]}")
    assert number is not None
    for look in (
        lambda: other.case(number), lambda: other.entries(number),
        lambda: other.close(number, "false", "ana", "x"), lambda: alarms.case(-1),
    ):  # fmt: skip
        with pytest.raises(NotFoundError, match="there is no alarm"):
            look()
    assert other.cases() == []


def test_the_program_closes_cases_of_units(
    alarms: Alarms, opened: Opener, engine: sa.Engine
) -> None:
    number = opened("u", "wear")
    assert number is not None
    with engine.begin() as connection:
        assert open_of_units(connection, alarms._fleet, ["u", "v"]) == {"u": {number: ("wear", 3)}}
        assert close_case(connection, number, "quiet", "presagio", "5 quiet readings")
        assert not close_case(connection, number, "quiet", "presagio", "once more")
    assert alarms.case(number).outcome == "quiet"


@pytest.mark.parametrize("table", ["alarms", "alarm_entries", "audit_log"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_nothing_is_ever_altered(engine: sa.Engine, table: str, statement: str) -> None:
    with (
        pytest.raises(sa.exc.DBAPIError, match=f"{table} can only be added to"),
        engine.begin() as connection,
    ):
        connection.execute(sa.text(statement.format(table)))


def test_the_audit_log_is_read_page_by_page(engine: sa.Engine) -> None:
    log, target = AuditLog(engine), f"model {uuid4().hex[:8]}"
    added = [
        log.add(who="ana", scope="admin", action="promote", target=target, why=f"{i}").id
        for i in range(3)
    ]
    assert [entry.id for entry in log.entries(target=target, limit=2)] == added[:0:-1]
    assert [entry.id for entry in log.entries(target=target, before=added[1])] == added[:1]
    assert log.entries(limit=1)[0].id >= added[2]


def test_nobody_else_closes_a_case_while_its_event_is_sent(
    engine: sa.Engine, alarms: Alarms, opened: Opener
) -> None:
    """Or a failure would be learned from that no case was closed with."""
    number = opened()
    assert number is not None

    def close_as_quiet() -> None:
        with translated(), engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
            close_case(connection, number, "quiet", "presagio", "5 quiet readings")

    with alarms.closing(number, "failure", "ana", "x"), pytest.raises(StorageError, match="Lock"):
        close_as_quiet()
    assert alarms.case(number).outcome == "failure"
