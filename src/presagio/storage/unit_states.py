"""The newest state of each unit: what was expected of it when its newest reading was scored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from presagio.storage.alarm_tables import UNIT_STATES
from presagio.storage.database import translated

# The worst first.
StoredState = Literal["alarm", "watch", "well"]
State = Literal["alarm", "watch", "well", "no data"]
STATES: tuple[State, ...] = get_args(State)
NO_DATA: State = "no data"
# Computed by the database.
_COMPUTED = frozenset({"rank", "calm"})


@dataclass(frozen=True)
class UnitState:
    """What is known of a unit.

    Attributes
    ----------
    state
        ``alarm``: a case is open. ``watch``: its readings say so, or do so until they have been
        quiet. ``well``: neither.
    since
        Since when it has this state.
    reading_time, reading_at
        The time of its newest reading, as times are compared and as it is written; None where
        readings have no time.
    probability, score, label, mode
        What the model says of that reading; no score after a failure or a repair, since the reading
        is of the life before.
    remaining_life, remaining_low, remaining_high
        How long the unit has left; None of a model without that output.
    receipt_id
        The file that the reading came in.
    model, version
        What has scored it.
    diagnosis
        Why, as the API explains an answer; None of a unit that is well.
    memory
        What the alarm rule goes on from.
    updated_at
        When that reading was scored.
    """

    fleet: str
    unit: str
    state: StoredState
    since: datetime
    reading_time: float | None
    reading_at: str | None
    probability: float | None
    score: float | None
    label: bool
    mode: str | None
    remaining_life: float | None
    remaining_low: float | None
    remaining_high: float | None
    receipt_id: int
    model: str
    version: str
    diagnosis: Mapping[str, Any] | None
    memory: Mapping[str, Any]
    updated_at: datetime

    def shown(self, silent_since: datetime | None) -> State:
        """Return the state for people: of a silent unit there is none, but an alarm stays.

        Silent is also a unit without a reading since its last failure or repair.

        Parameters
        ----------
        silent_since
            Units without a reading since then are silent, too.
        """
        silent = silent_since is not None and self.updated_at < silent_since
        silent = silent or self.score is None
        return NO_DATA if silent and self.state != "alarm" else self.state

    @property
    def place(self) -> tuple[int, float, str]:
        """Where it stands in pages, for ``after`` of the next one."""
        rank = get_args(StoredState).index(self.state)
        return rank, -(self.probability or 0.0), self.unit


_COLUMNS = [UNIT_STATES.c[name] for name in UnitState.__dataclass_fields__]


def state_of(row: sa.Row[Any]) -> UnitState:
    """Return the state that a row of the table holds."""
    return UnitState(**row._asdict())


def lock_states(
    connection: sa.Connection, fleet: str, units: Iterable[str]
) -> dict[str, UnitState]:
    """Return what is known of units, which nobody else changes until the transaction ends."""
    query = (
        sa.select(*_COLUMNS)
        .where(UNIT_STATES.c.fleet == fleet, UNIT_STATES.c.unit == sa.any_(sa.literal([*units])))
        # In one order, so that two cannot wait for each other.
        .order_by(UNIT_STATES.c.unit)
        .with_for_update()
    )
    return {row.unit: state_of(row) for row in connection.execute(query)}


def write_states(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Put newer states in the place of those that there are; each the columns of the table."""
    if not rows:
        return
    new = insert(UNIT_STATES)
    changed = {
        column.name: new.excluded[column.name]
        for column in UNIT_STATES.c
        if column.name not in {"fleet", "unit", *_COMPUTED}
    }
    connection.execute(
        new.on_conflict_do_update(index_elements=["fleet", "unit"], set_=changed), rows
    )


class UnitStates:
    """The states of a fleet's units in PostgreSQL; failures are :class:`.StorageError`.

    Parameters
    ----------
    engine
        The database.
    fleet
        Whose: a fleet's name, empty for the default fleet.
    """

    def __init__(self, engine: sa.Engine, fleet: str = "") -> None:
        self._engine, self._fleet = engine, fleet

    @staticmethod
    def _has_no_data(silent_since: datetime | None) -> sa.ColumnElement[bool]:
        """Return the condition by which :meth:`UnitState.shown` says so."""
        here = UNIT_STATES.c
        silent: sa.ColumnElement[bool] = here.score.is_(None)
        if silent_since is not None:
            silent = sa.or_(silent, here.updated_at < silent_since)
        return sa.and_(silent, here.state != "alarm")

    def _in_state(
        self, state: State | None, silent_since: datetime | None
    ) -> list[sa.ColumnElement[bool]]:
        here = UNIT_STATES.c
        conditions: list[sa.ColumnElement[bool]] = [here.fleet == self._fleet]
        if state is None:
            return conditions
        if state == NO_DATA:
            return [*conditions, self._has_no_data(silent_since)]
        # By what the index is in order of.
        conditions.append(here.rank == STATES.index(state))
        return [*conditions, sa.not_(self._has_no_data(silent_since))]

    def page(
        self,
        *,
        state: State | None = None,
        search: str = "",
        after: tuple[int, float, str] | None = None,
        limit: int = 50,
        silent_since: datetime | None = None,
    ) -> list[UnitState]:
        """Return units, the worst first: by state, then by probability.

        Parameters
        ----------
        state
            Only those in this state.
        search
            Only those whose name has this in it, in whichever case.
        after
            The :attr:`UnitState.place` of the last one of the page before.
        limit
            How many at most.
        silent_since
            As of :meth:`UnitState.shown`.
        """
        here = UNIT_STATES.c
        conditions = self._in_state(state, silent_since)
        if search:
            conditions.append(sa.func.strpos(sa.func.lower(here.unit), search.lower()) > 0)
        place = (here.rank, here.calm, here.unit)
        if after is not None:
            conditions.append(sa.tuple_(*place) > sa.tuple_(*after))
        query = sa.select(*_COLUMNS).where(*conditions).order_by(*place).limit(limit)
        with translated(), self._engine.connect() as connection:
            return [state_of(row) for row in connection.execute(query)]

    def one(self, unit: str) -> UnitState | None:
        """Return what is known of a unit; None of one without a scored reading."""
        here = UNIT_STATES.c
        query = sa.select(*_COLUMNS).where(here.fleet == self._fleet, here.unit == unit)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else state_of(row)

    def counts(self, *, silent_since: datetime | None = None) -> dict[State, int]:
        """Count the units in each state; ``silent_since`` is as of :meth:`UnitState.shown`."""
        here = UNIT_STATES.c
        shown = sa.case((self._has_no_data(silent_since), NO_DATA), else_=here.state).label("shown")
        query = sa.select(shown, sa.func.count()).where(here.fleet == self._fleet).group_by(shown)
        with translated(), self._engine.connect() as connection:
            found = {name: int(number) for name, number in connection.execute(query)}
        return {state: found.get(state, 0) for state in STATES}
