"""Which filed objects wait to be scored, and the transaction in which one of them is.

PostgreSQL is the arbiter: who takes the row of a receipt out of those that wait scores it, and it
is back there unless the transaction is committed, with scores, states and cases.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from presagio.storage.alarm_tables import RECEIPTS_TO_SCORE, SCORED_RECEIPTS, UNIT_EVENTS
from presagio.storage.database import translated
from presagio.storage.receipt import Receipt
from presagio.storage.schema import RECEIPTS, receipt_of

# Stands for the fault of a receipt while a process scores it.
_BEGUN = "a process has begun to score it, and has not come to an end"


@dataclass(frozen=True)
class UnitEvent:
    """A failure, a repair or an error of a unit, at a time as times are compared and written."""

    unit: str
    time: float
    kind: str
    at: str
    mode: str
    receipt_id: int


@dataclass(frozen=True)
class Scored:
    """What was scored of a receipt: by which model, how many rows of how many units, and where."""

    model: str
    version: str
    rows: int
    units: int
    keys: Sequence[str]


class Scoring:
    """The open transaction in which one receipt is scored."""

    def __init__(self, connection: sa.Connection, fleet: str, receipt: Receipt) -> None:
        self.connection, self.fleet, self.receipt = connection, fleet, receipt

    def events(self, units: Iterable[str]) -> list[UnitEvent]:
        """Return what logs of events say of units, by time; of several logs the first counts."""
        here = UNIT_EVENTS.c
        columns = [here[name] for name in UnitEvent.__dataclass_fields__]
        one = [here.unit, here.time, here.kind, here.mode]
        query = (
            sa.select(*columns)
            .ext(distinct_on(*one))
            .where(here.fleet == self.fleet, here.unit == sa.any_(sa.literal([*units])))
            .order_by(*one, here.receipt_id)
        )
        return [UnitEvent(**row._asdict()) for row in self.connection.execute(query)]

    def replace_events(self, events: Sequence[UnitEvent]) -> None:
        """Keep the events of the receipt's log, in the place of those that it had before."""
        before = UNIT_EVENTS.c.receipt_id == self.receipt.id
        self.connection.execute(sa.delete(UNIT_EVENTS).where(before))
        rows = [{"fleet": self.fleet, **vars(event)} for event in events]
        if rows:
            self.connection.execute(insert(UNIT_EVENTS).on_conflict_do_nothing(), rows)

    def record(self, scored: Scored) -> None:
        """Note that the receipt is scored; it counts once the transaction is committed."""
        values = {**vars(scored), "keys": [*scored.keys]}
        values |= {"receipt_id": self.receipt.id, "fleet": self.fleet}
        self.connection.execute(sa.insert(SCORED_RECEIPTS).values(values))


def _turn(fleet: str) -> sa.Select[Any]:
    """Return the statement that waits until nobody else scores receipts of a fleet."""
    lock = sa.func.hashtextextended(f"arrivals/{fleet}", 0)
    return sa.select(sa.func.pg_advisory_xact_lock(lock))


def follow_again(connection: sa.Connection, fleet: str, receipt_id: int, *, is_taken: bool) -> None:
    """Have a log of events followed again, whose rows are about to be others than they were.

    Call it in the transaction in which they are, before the receipt is changed: then it waits to be
    scored once more.

    Parameters
    ----------
    connection
        Of the open transaction.
    fleet, receipt_id
        Whose log it is, and its receipt.
    is_taken
        Whether its rows are taken still; if not, it tells of no event any more.
    """
    connection.execute(_turn(fleet))
    tables = [SCORED_RECEIPTS] if is_taken else [SCORED_RECEIPTS, UNIT_EVENTS]
    for table in tables:
        connection.execute(sa.delete(table).where(table.c.receipt_id == receipt_id))


class Arrivals:
    """What waits to be scored of a fleet; failures are :class:`.StorageError`.

    Parameters
    ----------
    engine
        The database.
    fleet
        Whose: a fleet's name, empty for the default fleet.
    """

    def __init__(self, engine: sa.Engine, fleet: str = "") -> None:
        self._engine, self._fleet = engine, fleet

    def close(self) -> None:
        """Close the connections that are kept."""
        self._engine.dispose()

    def _due(self, bucket: str) -> list[sa.ColumnElement[bool]]:
        here = RECEIPTS_TO_SCORE.c
        is_due = sa.or_(here.not_before.is_(None), here.not_before <= sa.func.now())
        return [here.fleet == self._fleet, here.bucket == bucket, is_due]

    def waiting(self, bucket: str, *, limit: int) -> list[int]:
        """Return the numbers of receipts that wait and are not put off, oldest first."""
        number = RECEIPTS_TO_SCORE.c.receipt_id
        query = sa.select(number).where(*self._due(bucket)).order_by(number).limit(limit)
        with translated(), self._engine.connect() as connection:
            return list(connection.scalars(query))

    def backlog(self, bucket: str) -> tuple[int, datetime | None]:
        """Count the receipts that wait, and say since when the oldest one has been there.

        Those that are put off are among them.
        """
        here = RECEIPTS_TO_SCORE.c
        query = (
            sa.select(sa.func.count(), sa.func.min(here.receipt_id))
            .where(here.fleet == self._fleet, here.bucket == bucket)
        )  # fmt: skip
        with translated(), self._engine.connect() as connection:
            waiting, oldest = connection.execute(query).one()
            since = sa.select(RECEIPTS.c.created_at).where(RECEIPTS.c.id == oldest)
            found: datetime | None = connection.execute(since).scalar_one_or_none()
        return int(waiting), found

    def newest(self) -> datetime | None:
        """Return when a receipt was scored last; None before the first."""
        here = SCORED_RECEIPTS.c
        query = sa.select(sa.func.max(here.scored_at)).where(here.fleet == self._fleet)
        with translated(), self._engine.connect() as connection:
            found: datetime | None = connection.execute(query).scalar_one()
        return found

    def scored(self, receipt_id: int) -> Mapping[str, Any] | None:
        """Return what is noted of a scored receipt; None of one that is not."""
        here = SCORED_RECEIPTS.c
        query = sa.select(*here).where(here.receipt_id == receipt_id, here.fleet == self._fleet)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else row._asdict()

    @contextmanager
    def scoring(self, receipt_id: int) -> Iterator[Scoring | None]:
        """Open the transaction in which a receipt is scored.

        Others that score receipts of the fleet wait here until it ends.

        Yields
        ------
        Scoring or None
            None where somebody else has scored it, or its rows are not taken any more.
        """
        waits = RECEIPTS_TO_SCORE.c.receipt_id == receipt_id
        taken = sa.delete(RECEIPTS_TO_SCORE).where(waits).returning(waits)
        query = sa.select(RECEIPTS).where(
            RECEIPTS.c.id == receipt_id, RECEIPTS.c.verdict == "processed"
        )
        with translated(), self._engine.begin() as connection:
            connection.execute(_turn(self._fleet))
            is_taken = connection.execute(taken).one_or_none() is not None
            row = connection.execute(query).one_or_none() if is_taken else None
            yield None if row is None else Scoring(connection, self._fleet, receipt_of(row))

    def begin(self, receipt_id: int) -> int:
        """Note that a receipt is begun with, and return how often a process ended over it.

        It is forgotten with :meth:`let_go`, :meth:`put_off`, or once the receipt is scored.
        """
        here = RECEIPTS_TO_SCORE.c
        ended = sa.select(here.attempts).where(here.receipt_id == receipt_id, here.fault == _BEGUN)
        begun = sa.update(RECEIPTS_TO_SCORE).where(here.receipt_id == receipt_id)
        with translated(), self._engine.begin() as connection:
            found = connection.execute(ended.with_for_update()).scalar_one_or_none()
            connection.execute(begun.values(attempts=here.attempts + 1, fault=_BEGUN))
        return int(found or 0)

    def let_go(self, receipt_id: int) -> None:
        """Note that a receipt which was begun with waits as before: it was not its fault."""
        here = RECEIPTS_TO_SCORE.c
        waits = sa.update(RECEIPTS_TO_SCORE).where(
            here.receipt_id == receipt_id, here.fault == _BEGUN
        )
        with translated(), self._engine.begin() as connection:
            connection.execute(waits.values(attempts=here.attempts - 1, fault=None))

    def put_off(self, receipt_id: int, fault: str, *, seconds: float) -> None:
        """Note why a receipt could not be scored; it waits for so long, and longer each time."""
        here = RECEIPTS_TO_SCORE.c
        most = sa.func.least(here.attempts, 6)
        delay = sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds * sa.func.power(2.0, most))
        values = {
            "attempts": here.attempts + 1, "fault": fault[:2000].replace("\0", "\ufffd"),
            "not_before": sa.func.now() + delay,
        }  # fmt: skip
        with translated(), self._engine.begin() as connection:
            connection.execute(
                sa.update(RECEIPTS_TO_SCORE).where(here.receipt_id == receipt_id).values(values)
            )
