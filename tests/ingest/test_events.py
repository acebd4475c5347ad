"""Logs of events: failures, repairs and errors through the same intake as readings."""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from presagio.ingest.again import outdated
from presagio.ingest.checking import CheckedFile, check_file
from presagio.ingest.curated import labelled_rows, processed_receipts
from presagio.ingest.events import EventCounts, events_of, read_events
from presagio.ingest.filing import Intake
from presagio.ingest.verify import verify
from presagio.machine.event_log import event_log
from presagio.machine.spec import parse_spec
from tests.filing import file_body
from tests.motors import MOTORS, motor_csv, motor_rows, motors

_HEADER = "Motor no.,Taken at,Event,mode\n"


def _log(*rows: str) -> bytes:
    return (_HEADER + "".join(f"{row}\n" for row in rows)).encode()


def _check(*rows: str) -> CheckedFile:
    return check_file(_log(*rows), event_log(motors()))


def _reasons(checked: CheckedFile) -> list[tuple[int, str]]:
    return [
        (row["line"], fault["reason"])
        for row in checked.rejected.iter_rows(named=True) for fault in row["faults"]
    ]  # fmt: skip


def test_an_event_has_unit_time_kind_and_mode() -> None:
    checked = _check(
        "M1,2026-01-31 08:30,Failure,bearing", "M1,2026-02-01 08:30,repair,",
        "M2,2026-01-31 08:30,error,E5", ",2026-01-31 08:30,error,E5",
        "M2,yesterday,error,E5", "M2,2026-01-31 08:30,fire,",
    )  # fmt: skip
    assert checked.accepted.select("motor", "is_failure", "is_repair", "mode").rows() == [
        ("M1", True, False, "bearing"), ("M1", False, True, ""), ("M2", False, False, "E5"),
    ]  # fmt: skip
    assert _reasons(checked) == [(5, "missing"), (6, "not_a_time"), (7, "unknown_category")]
    assert checked.notes["events"] | {"from": 0, "to": 0} == {
        "units": 2, "from": 0, "to": 0, "out_of_order": 0, "failure": 1, "repair": 1, "error": 1,
    }  # fmt: skip


def test_an_event_counts_once_and_a_failure_has_one_mode() -> None:
    same = "M1,2026-01-31 08:30,failure,bearing"
    checked = _check(
        same, same, "M1,2026-01-31 08:30,failure,winding", "M1,2026-01-31 08:30,repair,",
        "M1,2026-01-31 08:30,error,E5", "M1,2026-01-31 08:30,error,E6",
        "M1,2026-01-31 08:30,error,E5",
    )  # fmt: skip
    assert _reasons(checked) == [
        (3, "repeated_event"), (4, "contradicting_event"), (8, "repeated_event"),
    ]  # fmt: skip
    assert len(checked.accepted) == 4


def _told(*rows: str) -> pl.DataFrame:
    return _check(*rows).accepted


def test_of_several_logs_the_earlier_one_counts() -> None:
    first = _told("M1,2026-01-31 08:30,failure,bearing", "M1,2026-03-01 08:30,error,E5")
    second = _told(
        "M1,2026-01-31 08:30,failure,bearing", "M1,2026-03-01 08:30,error,E6",
        "M2,2026-01-01 08:30,repair,", "M1,2026-02-01 08:30,repair,",
        "M1,2026-04-01 08:30,failure,",
    )  # fmt: skip
    third = _told("M1,2026-01-31 08:30,failure,winding", "M1,2026-04-01 08:30,failure,")
    logged = events_of(motors(), [(1, first), (2, second), (3, third)])
    assert logged.counts == EventCounts(
        failures=2, repairs=2, errors=2, repeated=2, contradicting=1, late=1
    )
    assert logged.rows.filter("is_failure")["mode"].to_list() == ["bearing", None]
    assert logged.rows["time"].is_sorted()


@pytest.fixture
def intake(new_intake: Callable[[], Intake]) -> Intake:
    return replace(new_intake(), spec=motors())


@pytest.mark.integration
def test_logs_are_filed_beside_readings_and_are_none(intake: Intake) -> None:
    readings = file_body(intake, "readings.csv", motor_csv(motor_rows(2, 5)))
    log = file_body(
        intake, "events/july.csv", _log("M00,2026-01-01 03:00,failure,", "X9,2026-01-02,repair,")
    )
    again = file_body(intake, "events/copy.csv", _log("M00,2026-01-01 03:00,failure,x"))
    assert log.outcome.verdict == "processed"
    assert log.outcome.notes["events"]["failure"] == 1
    assert log.outcome.processed_key == f"{intake.prefixes.processed}events/july.csv"
    (curated,) = log.outcome.curated_keys
    assert curated.startswith(f"{intake.prefixes.curated}events/day=")
    assert [r.id for r in processed_receipts(intake)] == [readings.id]
    assert [rows["receipt_id"][0] for rows in labelled_rows(intake)] == [readings.id]
    logged = read_events(intake)
    assert logged.receipts == (log.id, again.id)
    assert (logged.counts.failures, logged.counts.contradicting) == (1, 1)
    assert verify(intake, deep=True).is_clean
    assert not outdated(intake)


def test_between_events_any_time_may_pass() -> None:
    spec = parse_spec(MOTORS.read_bytes().replace(b"[time]", b'[time]\nstep = "1h"'), "motors")
    log = _log("M1,2026-01-31 08:30,error,E5", "M1,2026-03-31 08:30,error,E5")
    assert "gaps" not in check_file(log, event_log(spec)).notes["events"]
