"""What people do about cases: close one with its outcome, which becomes an event to learn from."""

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.upload import Uploaded, upload
from presagio.machine.event_log import EVENTS
from presagio.machine.learning import KIND, MODE
from presagio.readings.instants import time_in, written_time
from presagio.sentences import Sentence
from presagio.storage.alarm_cases import AlarmCase
from presagio.storage.alarm_entries import HumanOutcome
from presagio.storage.alarms import SCOPE

# Outcomes that are events; a false alarm is kept in the ledger alone.
_EVENTS: frozenset[HumanOutcome] = frozenset({"failure", "repair"})
_MOST_TEXT = 2000


@dataclass(frozen=True)
class ClosedAlarm:
    """A case that was closed.

    Attributes
    ----------
    case
        As it is now.
    event
        Where the log with its event is; None of a false alarm, and of a machine without times.
    at
        The time of the event, as it is written.
    """

    case: AlarmCase
    event: Uploaded | None = None
    at: str | None = None


def _event_time(intake: Intake, case: AlarmCase, given: str | None) -> str | None:
    """Return when the event was: as given, or at the unit's newest reading."""
    time = intake.spec.time
    if time is None:
        if given is not None:
            raise DataError(f"readings of {intake.spec.name} have no time; leave --at out")
        return None
    if given is None:
        state = intake.ledger.unit_states().one(case.unit)
        return case.reading_at if state is None else state.reading_at
    text = pl.DataFrame({"at": [given.strip()]}, schema={"at": pl.String})
    found = text.select(time_in(pl.col("at"), time)).item()
    if found is None:
        raise DataError(
            Sentence(
                "%(text)s is no time of %(column)s: %(allowed)s",
                {"text": f"{given!r:.80}", "column": time.name, "allowed": time.accepted},
            )
        )
    return str(written_time(found))


def _log(intake: Intake, case: AlarmCase, kind: str, at: str) -> bytes:
    """Write the log of one event as CSV."""
    unit, time = intake.spec.needed_columns[:2]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([unit, time, KIND, MODE])
    writer.writerow([case.unit, at, kind, case.mode])
    return text.getvalue().encode()


def _send(intake: Intake, case: AlarmCase, body: bytes, who: str) -> Uploaded:
    """Put the log below the incoming prefix, under a name of its bytes: twice is once."""
    digest = hashlib.sha256(body).hexdigest()
    name = f"{EVENTS}alarm-{case.id}-{digest[:16]}.csv"
    # By itself, since the log is there before the closing entry is.
    sending = intake.ledger.audit().change(
        who=who, scope=SCOPE, action="file.send", target=f"{intake.prefixes.incoming}{name}",
        detail={"sha256": digest, "fleet": intake.spec.name, "alarm": case.id},
    )  # fmt: skip
    with TemporaryDirectory(prefix="presagio-event-") as folder, sending:
        path = Path(folder) / "event.csv"
        path.write_bytes(body)
        return upload(intake, path, name=name)


def close_alarm(
    intake: Intake, alarm_id: int, outcome: HumanOutcome, *, who: str, why: str,
    at: str | None = None,
) -> ClosedAlarm:  # fmt: skip
    """Close a case with its outcome.

    A failure or a repair becomes an event of the unit: a log that goes through the intake, from
    which the next training learns. Log and closing entry count together: whoever is killed between
    them leaves an open case, and the log of the next try has the same name.

    Parameters
    ----------
    intake
        Store and ledger of the fleet.
    alarm_id
        Number of the case.
    outcome
        What it was.
    who, why
        For the ledger, and for the audit log.
    at
        When the failure or repair was, as readings write times; by default at the unit's newest
        reading.

    Raises
    ------
    ConflictError
        If the case is closed.
    DataError
        If there are no words, or the time is none.
    NotFoundError
        If there is no such case.
    StorageError
        If store or ledger fail; the case is open then.
    """
    if not why.strip() or len(why) > _MOST_TEXT:
        raise DataError(f"say why in words, up to {_MOST_TEXT:,} characters: it is written down")
    alarms = intake.ledger.alarms()
    case = alarms.case(alarm_id)
    is_event = outcome in _EVENTS and intake.spec.is_series
    when = _event_time(intake, case, at) if is_event else None
    event: Uploaded | None = None
    with alarms.closing(alarm_id, outcome, who, why) as detail:
        if when is not None:
            event = _send(intake, case, _log(intake, case, outcome, when), who)
            detail |= {"event_key": event.key, "at": when}
    return ClosedAlarm(alarms.case(alarm_id), event, when)
