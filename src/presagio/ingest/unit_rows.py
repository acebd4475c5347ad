"""Rows of units: those of a part, each time once, and so many of the newest or oldest."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from presagio.ingest.curated import training_schema
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.outputs import RECEIPT
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers
from presagio.storage.parts_of_units import FoundPart, UnitTimes

# Beside the columns of readings, whose names begin with a letter.
ASKED_UNIT, _AFTER, _BEFORE = "@unit", "@after", "@before"
# So many readings are held before those are left out that do not count.
MOST_HELD = 200_000


def asked_frame(wanted: UnitTimes) -> pl.DataFrame:
    """Return units and times as a table, whose columns have names that no reading's have."""
    kinds = (pl.String, pl.Float64, pl.Float64)
    return pl.DataFrame(
        {
            name: pl.Series(values, dtype=kind)
            for name, values, kind in zip(
                (ASKED_UNIT, _AFTER, _BEFORE), vars(wanted).values(), kinds, strict=True
            )
        }
    )


def asked_times(asked: pl.DataFrame) -> UnitTimes:
    """Return some of the rows of such a table as units and times again."""
    return UnitTimes(*(asked[name].to_list() for name in (ASKED_UNIT, _AFTER, _BEFORE)))


def rows_of_part(curated: CuratedParts, part: FoundPart, wanted: UnitTimes) -> pl.DataFrame:
    """Return readings of units between some times, of one part."""
    unit, time = curated.spec.needed_columns[:2]
    if part.is_compacted:
        here = pl.col(unit).is_in([*wanted.units])
        rows = curated.compacted(part.key, part.number, here)
    else:
        rows = curated.read(part.key, part.number)
    asked = asked_frame(wanted)
    rows = rows.join(asked, left_on=unit, right_on=ASKED_UNIT, how="inner", maintain_order="left")
    times = time_numbers(rows[time])
    within = (times > rows[_AFTER].to_numpy()) & (times < rows[_BEFORE].to_numpy())
    return rows.filter(pl.Series(within, dtype=pl.Boolean)).drop(_AFTER, _BEFORE)


def once(spec: MachineSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """Return readings unit by unit in order of time, each time once: of the earlier receipt."""
    series = spec.needed_columns[:2]
    ordered = rows.sort(*series, RECEIPT, maintain_order=True)
    return ordered.unique(subset=series, keep="first", maintain_order=True)


def ends_of_units(
    spec: MachineSpec, rows: pl.DataFrame, count: int, *, newest: bool
) -> pl.DataFrame:
    """Return so many of the newest, or of the oldest, readings of each unit.

    Parameters
    ----------
    spec
        The machine spec.
    rows
        In order of unit and time.
    count
        How many.
    newest
        Whether the newest ones.
    """
    unit = spec.needed_columns[0]
    place = pl.int_range(pl.len(), dtype=pl.Int64).over(unit)
    if newest:
        return rows.filter(pl.len().cast(pl.Int64).over(unit) - place <= count)
    return rows.filter(place < count)


class EndRows:
    """Readings that were found so far, of each unit no more than are wanted.

    Parameters
    ----------
    spec
        The machine spec.
    count
        How many of each unit are wanted.
    newest
        Whether the newest ones.
    """

    def __init__(self, spec: MachineSpec, count: int, *, newest: bool) -> None:
        self._spec, self._count, self._newest = spec, count, newest
        self._frames = [pl.DataFrame(schema={RECEIPT: pl.Int64(), **training_schema(spec)})]
        self._held: Counter[str] = Counter()
        # Of a unit of which there are enough, the last time that counts.
        self._reach: dict[str, float] = {}

    @property
    def rows(self) -> pl.DataFrame:
        """Of each unit in order of time, and each time once."""
        self._cut()
        return self._frames[0]

    def add(self, rows: pl.DataFrame) -> None:
        """Take more of them."""
        if rows.is_empty():
            return
        self._frames.append(rows)
        self._held.update(dict(rows.group_by(self._spec.needed_columns[0]).len().iter_rows()))
        if sum(map(len, self._frames[1:])) > MOST_HELD:
            self._cut()

    def open(self, units: Sequence[str], edges: Sequence[float]) -> list[str]:
        """Return the units of which a part may hold what belongs among what was found.

        Parameters
        ----------
        units
            Units of the part.
        edges
            The newest, or the oldest, time of each there.
        """
        # Some may have come twice: whether there are enough is known once they are cut.
        if len(self._frames) > 1 and self._may_be_enough(units):
            self._cut()
        return [u for u, edge in zip(units, edges, strict=True) if self._may_change(u, edge)]

    def _may_be_enough(self, units: Sequence[str]) -> bool:
        """Tell whether there may be enough of a unit of which that was not known before."""
        held = self._held
        return any(held[unit] >= self._count for unit in units if unit not in self._reach)

    def _may_change(self, unit: str, edge: float) -> bool:
        if (reach := self._reach.get(unit)) is None:
            return True
        # Of the same time it may be of an earlier receipt.
        return edge >= reach if self._newest else edge <= reach

    def _cut(self) -> None:
        if len(self._frames) == 1:
            return
        spec, count = self._spec, self._count
        unit, time = spec.needed_columns[:2]
        rows = once(spec, pl.concat(self._frames))
        rows = ends_of_units(spec, rows, count, newest=self._newest)
        self._frames = [rows]
        self._held = Counter(dict(rows.group_by(unit).len().iter_rows()))
        enough = rows.filter(pl.len().over(unit) == count)
        last = enough.group_by(unit).agg(pl.min(time) if self._newest else pl.max(time))
        reached = time_numbers(last[time]).astype(np.float64).tolist()
        self._reach = dict(zip(last[unit].to_list(), reached, strict=True))
