"""Readings that stand in one file twice for one unit and time, and what a file's series are."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.machine.columns import fold
from presagio.machine.event_log import EventLog
from presagio.machine.learning import IS_FAILURE, IS_REPAIR, MODE
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import written_time
from presagio.readings.row_check import EXTRA
from presagio.readings.rows import LINE, RAW

Hashes = NDArray[np.uint64]
_SHOWN_NAMES = 10


class ReadingsOnce:
    """Remembers the readings of a file by 64-bit hashes: of unit and time, and of their values.

    The first reading of a unit and time is taken. That two others share a hash happens in one file
    of ten million rows with a probability of 3e-6; the second would be rejected, not lost.
    """

    def __init__(self, spec: MachineSpec) -> None:
        self._spec = spec
        self._keys: Hashes = np.empty(0, dtype=np.uint64)
        self._values: Hashes = np.empty(0, dtype=np.uint64)

    def among(self, rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Tell which rows repeat an earlier reading, and which contradict one, here or before."""
        keys = rows.select(_once_by(self._spec, rows)).hash_rows(seed=0).to_numpy()
        values = rows.drop(LINE, RAW, EXTRA, strict=False).hash_rows(seed=0).to_numpy()
        # Stable: of equal keys the one that came first is first.
        everything = np.concatenate([self._keys, keys])
        order = np.argsort(everything, kind="stable")
        found = everything[order]
        is_first = np.append(np.ones(min(len(found), 1), bool), found[1:] != found[:-1])
        first = np.maximum.accumulate(np.where(is_first, np.arange(len(found)), 0))
        known = np.concatenate([self._values, values])[order]
        again, other = np.empty((2, len(found)), dtype=bool)
        again[order] = ~is_first & (known == known[first])
        other[order] = ~is_first & (known != known[first])
        self._keys, self._values = found[is_first], known[is_first]
        start = len(everything) - len(rows)
        return pl.Series(again[start:]), pl.Series(other[start:])


def _once_by(spec: MachineSpec, rows: pl.DataFrame) -> list[pl.Expr]:
    """Return what a row stands once for: a unit at a time; of events, a kind of them."""
    found = [pl.col(column.name) for column in (spec.unit, spec.time) if column is not None]
    if isinstance(spec, EventLog):
        found += event_kind(rows)
    return found


def event_kind(rows: pl.DataFrame) -> list[pl.Expr]:
    """Return what events of one unit and time differ by; errors of several modes come at once."""
    found = [pl.col(IS_FAILURE), pl.col(IS_REPAIR)]
    if MODE in rows.columns:
        is_error = ~pl.col(IS_FAILURE) & ~pl.col(IS_REPAIR)
        found.append(pl.when(is_error).then(pl.col(MODE)))
    return found


@dataclass
class SeriesTally:
    """What the series of a file are, counted chunk by chunk.

    Attributes
    ----------
    newest
        The newest time of each unit.
    out_of_order
        Readings that come after a later one of their unit.
    gaps
        How often more time than a step of the spec passed between a unit's readings.
    renamed
        Rows whose unit was written otherwise than it is kept.
    """

    spec: MachineSpec
    newest: dict[str, Any] = field(default_factory=dict)
    out_of_order: int = 0
    first: Any = None
    last: Any = None
    kinds: Counter[str] = field(default_factory=Counter)
    gaps: int = 0
    renamed: int = 0

    @cached_property
    def similar_names(self) -> list[str]:
        """Some names of units that differ from others by case or white space only."""
        by_fold: dict[str, list[str]] = {}
        for name in sorted(self.newest):
            by_fold.setdefault(fold(name), []).append(name)
        alike = [names for names in by_fold.values() if len(names) > 1]
        return [name for names in alike for name in names][:_SHOWN_NAMES]

    def add(self, rows: pl.DataFrame) -> None:
        """Count the readings of a chunk."""
        unit, time = self.spec.unit, self.spec.time
        if unit is None or time is None or rows.is_empty():
            return
        if isinstance(self.spec, EventLog):
            flags = rows.select(failure=IS_FAILURE, repair=IS_REPAIR).sum().row(0, named=True)
            self.kinds.update(flags | {"error": len(rows) - sum(flags.values())})
        series = rows.select(unit=unit.name, time=time.name)
        limit = time.longest_step
        # Of the chunk's units only: a file may have as many as rows.
        units = series["unit"].unique().to_list()
        so_far = pl.DataFrame(
            {"unit": units, "so_far": [self.newest.get(name) for name in units]},
            schema={"unit": pl.String, "so_far": series.schema["time"]},
        )
        joined = series.join(so_far, on="unit", how="left", maintain_order="left")
        before = pl.max_horizontal("so_far", pl.col("time").cum_max().shift().over("unit"))
        self.out_of_order += int(joined.select((pl.col("time") < before).sum()).item())
        if limit is not None:
            apart = pl.col("time") - before
            longer = apart > (limit if time.is_counter else pl.lit(limit).cast(pl.Duration("us")))
            self.gaps += int(joined.select(longer.sum()).item())
        newest = joined.group_by("unit").agg(pl.max_horizontal("so_far", "time").max())
        self.newest |= dict(newest.iter_rows())
        ends = [series["time"].min(), series["time"].max(), self.first, self.last]
        known = [end for end in ends if end is not None]
        self.first, self.last = min(known), max(known)

    @property
    def notes(self) -> dict[str, Any]:
        """What a receipt says of it; empty of a file without units and times."""
        if not self.newest:
            return {}
        found = {
            "units": len(self.newest), "from": written_time(self.first),
            "to": written_time(self.last), "out_of_order": self.out_of_order, **self.kinds,
        }  # fmt: skip
        if self.spec.time is not None and self.spec.time.step is not None:
            found["gaps"] = self.gaps
        return found | ({"renamed": self.renamed} if self.renamed else {})
