"""Alarms as cases: opened by scores, closed by people, events or quiet readings; never altered.

What happens to a case is an entry that is added to it. The row in ``open_alarms`` says that it is
open, and is the arbiter of "one open case a unit and mode": it goes with the closing entry.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from presagio.errors import ConflictError, NotFoundError
from presagio.storage.alarm_cases import AlarmCase, cases_query
from presagio.storage.alarm_entries import (
    AlarmEntry,
    HumanOutcome,
    Kind,
    add_alarm_entry,
    lock_case,
    take_case,
)
from presagio.storage.alarm_tables import (
    ALARM_ENTRIES,
    ALARM_NOTICES,
    ALARMS,
    OPEN_ALARMS,
    UNIT_STATES,
)
from presagio.storage.audit import add_entry
from presagio.storage.database import translated

__all__ = ["SCOPE", "AlarmCase", "Alarms"]

# What allows people to change cases.
SCOPE = "operate"


class Alarms:
    """The cases of a fleet in PostgreSQL; failures are :class:`.StorageError`.

    What a person does to a case is written to the audit log in the same transaction.

    Parameters
    ----------
    engine
        The database.
    fleet
        Whose: a fleet's name, empty for the default fleet.
    """

    def __init__(self, engine: sa.Engine, fleet: str = "") -> None:
        self._engine, self._fleet = engine, fleet

    def cases(
        self, *, unit: str | None = None, open_only: bool = False, before: int | None = None,
        limit: int = 50,
    ) -> list[AlarmCase]:  # fmt: skip
        """Return cases, the newest first.

        Parameters
        ----------
        unit
            Only those of this unit.
        open_only
            Only those that are open.
        before
            Only those with a lower number: the next page.
        limit
            How many at most.
        """
        query = cases_query().where(ALARMS.c.fleet == self._fleet)
        query = query.order_by(ALARMS.c.id.desc()).limit(limit)
        if unit is not None:
            query = query.where(ALARMS.c.unit == unit)
        if open_only:
            # In the table of open ones, which is small, not among all that ever were.
            query = query.where(
                OPEN_ALARMS.c.fleet == self._fleet, OPEN_ALARMS.c.alarm_id.is_not(None)
            )
        if before is not None:
            query = query.where(ALARMS.c.id < before)
        with translated(), self._engine.connect() as connection:
            return [AlarmCase(**row._asdict()) for row in connection.execute(query)]

    def count_open(self) -> int:
        """Count the open cases."""
        query = sa.select(sa.func.count()).where(OPEN_ALARMS.c.fleet == self._fleet)
        with translated(), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def receipts_of_open(self) -> set[int]:
        """Return the receipts that open cases stand on: they were confirmed by, and the newest."""
        case, unit = OPEN_ALARMS.c, UNIT_STATES.c
        confirmed = sa.select(ALARMS.c.receipt_id).join_from(
            OPEN_ALARMS, ALARMS, ALARMS.c.id == case.alarm_id
        )
        newest = sa.select(unit.receipt_id).join_from(
            OPEN_ALARMS, UNIT_STATES, sa.and_(unit.fleet == case.fleet, unit.unit == case.unit)
        )
        ours = case.fleet == self._fleet
        query = sa.union(confirmed.where(ours), newest.where(ours))
        with translated(), self._engine.connect() as connection:
            return set(connection.scalars(query))

    def case(self, alarm_id: int) -> AlarmCase:
        """Return a case.

        Raises
        ------
        NotFoundError
            If the fleet has none with this number.
        """
        query = cases_query().where(ALARMS.c.fleet == self._fleet, ALARMS.c.id == alarm_id)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no alarm {alarm_id}; see: presagio alarms --all")
        return AlarmCase(**row._asdict())

    def entries(self, alarm_id: int) -> list[AlarmEntry]:
        """Return what happened to a case, in order.

        Raises
        ------
        NotFoundError
            As of :meth:`case`.
        """
        self.case(alarm_id)
        here = ALARM_ENTRIES.c
        query = sa.select(*here).where(here.alarm_id == alarm_id).order_by(here.id)
        with translated(), self._engine.connect() as connection:
            return [AlarmEntry(**row._asdict()) for row in connection.execute(query)]

    @contextmanager
    def notice(self, *, after: int = 0) -> Iterator[AlarmCase | None]:
        """Take the oldest opened case of which nobody has been notified, in a transaction.

        When the block ends without an error, people are taken to be notified; of several that do
        so at once each takes another case.

        Parameters
        ----------
        after
            Only a case with a higher number.

        Yields
        ------
        AlarmCase or None
            None where there is none.
        """
        here = ALARM_NOTICES.c
        oldest = (
            sa.select(here.alarm_id)
            .where(here.fleet == self._fleet, here.alarm_id > after)
            .order_by(here.alarm_id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with translated(), self._engine.begin() as connection:
            number = connection.execute(oldest).scalar_one_or_none()
            if number is None:
                yield None
                return
            row = connection.execute(cases_query().where(ALARMS.c.id == number)).one()
            yield AlarmCase(**row._asdict())
            connection.execute(sa.delete(ALARM_NOTICES).where(here.alarm_id == number))

    @contextmanager
    def _changing(self, alarm_id: int) -> Iterator[sa.Connection]:
        """Open the transaction in which a person changes an open case."""
        self.case(alarm_id)
        with translated(), self._engine.begin() as connection:
            lock_case(connection, alarm_id)
            here = OPEN_ALARMS.c
            is_open = sa.select(sa.exists().where(here.alarm_id == alarm_id))
            if not connection.execute(is_open).scalar_one():
                raise ConflictError(_closed(alarm_id))
            yield connection

    def _add(
        self, alarm_id: int, kind: Kind, action: str, who: str, why: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> AlarmEntry:  # fmt: skip
        with self._changing(alarm_id) as connection:
            entry = add_alarm_entry(connection, alarm_id, kind, who, why=why, detail=detail)
            add_entry(
                connection, who=who, scope=SCOPE, action=action, target=_target(alarm_id), why=why,
                detail=detail,
            )  # fmt: skip
        return entry

    def acknowledge(self, alarm_id: int, who: str) -> AlarmEntry:
        """Note that somebody has seen a case.

        Raises
        ------
        NotFoundError
            If the fleet has none with this number.
        ConflictError
            If it is closed.
        """
        return self._add(alarm_id, "acknowledged", "alarm.acknowledge", who)

    def assign(self, alarm_id: int, who: str, to: str) -> AlarmEntry:
        """Note who is to look after a case; raises as :meth:`acknowledge`."""
        return self._add(alarm_id, "assigned", "alarm.assign", who, detail={"to": to})

    def note(self, alarm_id: int, who: str, text: str) -> AlarmEntry:
        """Add a note to a case; raises as :meth:`acknowledge`."""
        return self._add(alarm_id, "noted", "alarm.note", who, why=text)

    @contextmanager
    def closing(
        self, alarm_id: int, outcome: HumanOutcome, who: str, why: str
    ) -> Iterator[dict[str, Any]]:
        """Open the transaction in which a person closes a case.

        It counts when the block ends without an error. Of several that do so at once one does.

        Yields
        ------
        dict
            The detail of the closing entry, to be filled.

        Raises
        ------
        NotFoundError
            If the fleet has none with this number.
        ConflictError
            If it is closed.
        """
        detail: dict[str, Any] = {}
        with self._changing(alarm_id) as connection:
            # Before the block, so that readings or a log close none whose event is on its way.
            if not take_case(connection, alarm_id):
                raise ConflictError(_closed(alarm_id))
            yield detail
            add_alarm_entry(
                connection, alarm_id, "closed", who, why=why, outcome=outcome, detail=detail
            )
            add_entry(
                connection, who=who, scope=SCOPE, action="alarm.close", target=_target(alarm_id),
                why=why, detail={"outcome": outcome, **detail},
            )  # fmt: skip

    def close(self, alarm_id: int, outcome: HumanOutcome, who: str, why: str) -> AlarmCase:
        """Close a case, and do nothing else: :func:`presagio.jobs.alarms.close_alarm` does more.

        Raises
        ------
        NotFoundError, ConflictError
            As of :meth:`closing`.
        """
        with self.closing(alarm_id, outcome, who, why):
            pass
        return self.case(alarm_id)


def _target(alarm_id: int) -> str:
    return f"alarm {alarm_id}"


def _closed(alarm_id: int) -> str:
    return f"alarm {alarm_id} is closed already; see: presagio alarms show {alarm_id}"
