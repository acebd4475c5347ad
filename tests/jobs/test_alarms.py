"""A case is closed with its outcome, which goes through the intake and ends the unit's life."""

import pytest

from presagio.errors import ConflictError, DataError, NotFoundError, StorageError
from presagio.ingest.events import read_events
from presagio.ingest.filing import file_object
from presagio.jobs.alarms import close_alarm
from presagio.storage.audit import AuditLog
from tests.arriving import LIFE, Arriving, life

pytestmark = pytest.mark.integration


@pytest.fixture
def alarmed(fleet: Arriving) -> tuple[Arriving, int]:
    fleet.file("a.csv", life(-12, LIFE))
    fleet.score()
    (case,) = fleet.cases()
    return fleet, case.id


@pytest.mark.parametrize("outcome", ["failure", "repair"])
def test_an_outcome_becomes_an_event_of_which_training_learns(
    alarmed: tuple[Arriving, int], outcome: str
) -> None:
    fleet, number = alarmed
    done = close_alarm(fleet.intake, number, outcome, who="ana", why="bearing gone")  # type: ignore[arg-type]
    assert (done.case.outcome, done.case.closed_by, done.case.why) == (
        outcome, "ana", "bearing gone",
    )  # fmt: skip
    assert done.event is not None
    assert fleet.states() == {"E1": "watch"}
    file_object(fleet.intake, done.event.key)
    logged = read_events(fleet.intake)
    assert logged.rows.select("unit", "time", "is_failure").rows() == [
        ("E1", float(LIFE), outcome == "failure")
    ]
    assert fleet.score().events == 1
    assert fleet.states() == {"E1": "no data"}
    # It was closed before: the event closes nothing.
    assert [entry.kind for entry in fleet.intake.ledger.alarms().entries(number)] == [
        "opened", "closed",
    ]  # fmt: skip
    (audited,) = AuditLog(fleet.intake.ledger._engine).entries(target=f"alarm {number}")
    assert audited.detail == {
        "outcome": outcome, "event_key": done.event.key, "at": f"{float(LIFE)}",
    }  # fmt: skip


def test_a_false_alarm_is_kept_in_the_ledger_alone(alarmed: tuple[Arriving, int]) -> None:
    fleet, number = alarmed
    done = close_alarm(fleet.intake, number, "false", who="ana", why="sensor was loose")
    assert (done.event, done.case.outcome) == (None, "false")
    incoming = fleet.intake.store.list(fleet.settings.s3_bucket, "incoming/")
    assert list(incoming) == []


def test_a_time_can_be_given(alarmed: tuple[Arriving, int]) -> None:
    fleet, number = alarmed
    with pytest.raises(DataError, match="'yesterday' is no time of cycle"):
        close_alarm(fleet.intake, number, "failure", who="ana", why="x", at="yesterday")
    done = close_alarm(fleet.intake, number, "failure", who="ana", why="x", at=f"{LIFE + 3}")
    assert done.at == f"{float(LIFE + 3)}"


def test_what_cannot_be_closed_is_refused(alarmed: tuple[Arriving, int]) -> None:
    fleet, number = alarmed
    with pytest.raises(DataError, match="say why"):
        close_alarm(fleet.intake, number, "false", who="ana", why=" ")
    with pytest.raises(NotFoundError):
        close_alarm(fleet.intake, -1, "false", who="ana", why="x")
    close_alarm(fleet.intake, number, "false", who="ana", why="x")
    with pytest.raises(ConflictError):
        close_alarm(fleet.intake, number, "failure", who="ben", why="x")


def test_a_case_whose_event_cannot_be_sent_stays_open(
    alarmed: tuple[Arriving, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, number = alarmed

    def fail(*_: object) -> None:
        raise StorageError("S3 is down")

    monkeypatch.setattr(fleet.intake.store, "upload", fail)
    with pytest.raises(StorageError):
        close_alarm(fleet.intake, number, "failure", who="ana", why="x")
    assert fleet.intake.ledger.alarms().case(number).is_open
    monkeypatch.undo()
    assert close_alarm(fleet.intake, number, "failure", who="ana", why="x").event is not None


def test_a_hostile_unit_name_goes_through_the_log(fleet: Arriving) -> None:
    name = 'a,"b"/../<i>\u00e9'
    fleet.file("a.csv", life(-12, LIFE, unit=name))
    fleet.score()
    (case,) = fleet.cases()
    assert case.unit == name
    done = close_alarm(fleet.intake, case.id, "repair", who="ana", why="x")
    assert done.event is not None
    assert "<" not in done.event.key
    file_object(fleet.intake, done.event.key)
    assert read_events(fleet.intake).rows["unit"].to_list() == [name]
