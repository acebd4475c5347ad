"""A case and where it stands, read from its alarm and its entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import LateralFromClause

from presagio.storage.alarm_entries import Kind, Outcome
from presagio.storage.alarm_tables import ALARM_ENTRIES, ALARMS, OPEN_ALARMS


@dataclass(frozen=True)
class AlarmCase:
    """A case, and where it stands.

    Attributes
    ----------
    mode
        The failure mode; empty where none is named.
    receipt_id, reading_time, reading_at
        The reading that confirmed it: its file, its time as times are compared and as written.
    model, version, probability, diagnosis
        What scored that reading, and what it said.
    is_open
        Whether it is open.
    acknowledged_by, assigned_to
        Who has acknowledged it first, and to whom it was assigned last; None for nobody.
    outcome, closed_by, closed_at, why
        How it was closed; None while it is open.
    """

    id: int
    fleet: str
    unit: str
    mode: str
    opened_at: datetime
    receipt_id: int
    reading_time: float | None
    reading_at: str | None
    model: str
    version: str
    probability: float | None
    diagnosis: Mapping[str, Any] | None
    is_open: bool
    acknowledged_by: str | None
    assigned_to: str | None
    outcome: Outcome | None
    closed_by: str | None
    closed_at: datetime | None
    why: str | None


def _entry_of(kind: Kind, *columns: sa.ColumnElement[Any], newest: bool) -> LateralFromClause:
    """Return the newest, or the first, entry of a kind of each alarm."""
    here = ALARM_ENTRIES.c
    return (
        sa.select(*columns)
        .where(here.alarm_id == ALARMS.c.id, here.kind == kind)
        .order_by(here.id.desc() if newest else here.id)
        .limit(1)
        .correlate(ALARMS)
        .lateral(kind)
    )


def cases_query() -> sa.Select[Any]:
    """Return the query of all cases, each with where it stands."""
    here, opened = ALARM_ENTRIES.c, OPEN_ALARMS.c
    taken = _entry_of("acknowledged", here.who, newest=False)
    given = _entry_of("assigned", here.detail["to"].astext.label("to"), newest=True)
    closed = _entry_of("closed", here.who, here.outcome, here.at, here.why, newest=True)
    joined = (
        sa.join(ALARMS, OPEN_ALARMS, opened.alarm_id == ALARMS.c.id, isouter=True)
        .outerjoin(taken, sa.true())
        .outerjoin(given, sa.true())
        .outerjoin(closed, sa.true())
    )
    return sa.select(
        *ALARMS.c, opened.alarm_id.is_not(None).label("is_open"),
        taken.c.who.label("acknowledged_by"), given.c.to.label("assigned_to"), closed.c.outcome,
        closed.c.who.label("closed_by"), closed.c.at.label("closed_at"), closed.c.why,
    ).select_from(joined)  # fmt: skip
