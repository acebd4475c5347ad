"""What happens to cases, within an open transaction: opened, closed, and entries that are added."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from presagio.sentences import Sentence, read_sentence
from presagio.storage.alarm_tables import ALARM_ENTRIES, ALARM_NOTICES, ALARMS, OPEN_ALARMS

Kind = Literal["opened", "acknowledged", "assigned", "noted", "closed"]
# What people close a case with, and what the scoring job does.
HumanOutcome = Literal["failure", "repair", "false"]
Outcome = Literal["failure", "repair", "false", "quiet", "repaired"]
# Who opens cases, and closes them by readings and events.
PROGRAM = "presagio"
# In the detail of what the program did: why, as a sentence.
SENTENCE = "sentence"


@dataclass(frozen=True)
class AlarmEntry:
    """What happened to a case: who did what, when and why."""

    id: int
    alarm_id: int
    kind: Kind
    who: str
    why: str
    outcome: Outcome | None
    at: datetime
    detail: Mapping[str, Any]

    @property
    def sentence(self) -> Sentence | None:
        """Why, to be translated; None of what a person wrote."""
        return read_sentence(self.detail.get(SENTENCE))


def lock_case(connection: sa.Connection, alarm_id: int) -> None:
    """Let nobody else change a case until the transaction ends; no right to update is needed."""
    lock = sa.func.hashtextextended(f"alarms/{alarm_id}", 0)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))


def add_alarm_entry(
    connection: sa.Connection, alarm_id: int, kind: Kind, who: str, *, why: str = "",
    outcome: Outcome | None = None, detail: Mapping[str, Any] | None = None,
) -> AlarmEntry:  # fmt: skip
    """Add an entry to a case in an open transaction."""
    values = {
        "alarm_id": alarm_id, "kind": kind, "who": who, "why": why, "outcome": outcome,
        "detail": dict(detail or {}),
    }  # fmt: skip
    new = sa.insert(ALARM_ENTRIES).values(values).returning(*ALARM_ENTRIES.c)
    return AlarmEntry(**connection.execute(new).one()._asdict())


def open_case(connection: sa.Connection, values: Mapping[str, Any]) -> int | None:
    """Open a case, and note that people are to be notified; None where one is open already.

    Parameters
    ----------
    connection
        Of an open transaction.
    values
        The columns of the alarm but its number and date.

    Returns
    -------
    int or None
        Its number.
    """
    numbers = sa.func.pg_get_serial_sequence("alarms", "id")
    number = int(connection.execute(sa.select(sa.func.nextval(numbers))).scalar_one())
    place = {name: values[name] for name in ("fleet", "unit", "mode")}
    arbiter = insert(OPEN_ALARMS).values(alarm_id=number, **place).on_conflict_do_nothing()
    if connection.execute(arbiter.returning(OPEN_ALARMS.c.alarm_id)).one_or_none() is None:
        return None
    connection.execute(sa.insert(ALARMS).values(id=number, **values))
    add_alarm_entry(connection, number, "opened", PROGRAM)
    connection.execute(sa.insert(ALARM_NOTICES).values(alarm_id=number, fleet=values["fleet"]))
    return number


def close_case(
    connection: sa.Connection, alarm_id: int, outcome: Outcome, who: str, why: str, *,
    detail: Mapping[str, Any] | None = None,
) -> bool:  # fmt: skip
    """Close a case in an open transaction; False where it is closed already, or is none."""
    if not take_case(connection, alarm_id):
        return False
    add_alarm_entry(connection, alarm_id, "closed", who, why=why, outcome=outcome, detail=detail)
    return True


def take_case(connection: sa.Connection, alarm_id: int) -> bool:
    """Let nobody else close a case until the transaction ends, which has to add the closing entry.

    Returns
    -------
    bool
        False where it is closed already, or is none.
    """
    arbiter = sa.delete(OPEN_ALARMS).where(OPEN_ALARMS.c.alarm_id == alarm_id)
    return connection.execute(arbiter.returning(OPEN_ALARMS.c.alarm_id)).one_or_none() is not None


def open_of_units(
    connection: sa.Connection, fleet: str, units: Iterable[str]
) -> dict[str, dict[int, tuple[str, float | None]]]:
    """Return the open cases of units, which nobody else closes until the transaction ends.

    Whoever changes states too locks them after the cases, as one does who closes a case: none waits
    for the other in a circle.

    Returns
    -------
    dict
        Unit → number → mode and time of the reading.
    """
    here = OPEN_ALARMS.c
    query = (
        sa.select(here.unit, here.alarm_id, here.mode, ALARMS.c.reading_time)
        .join_from(OPEN_ALARMS, ALARMS, ALARMS.c.id == here.alarm_id)
        .where(here.fleet == fleet, here.unit == sa.any_(sa.literal([*units])))
        .order_by(here.alarm_id)
        .with_for_update(of=OPEN_ALARMS)
    )
    found: dict[str, dict[int, tuple[str, float | None]]] = {}
    for unit, alarm_id, mode, time in connection.execute(query):
        found.setdefault(unit, {})[alarm_id] = (mode, time)
    return found
