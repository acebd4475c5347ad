"""What later files need of the units in earlier ones: a bounded number of readings a unit.

The features of a reading come from its unit's readings before it, wherever these lie. A file alone
leaves behind, of each unit, its newest readings (one fewer than the longest window has) and its
first ones, values that are carried forward put in. Put together in the order of the files, that is
all that the next file needs, however many came before.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.inference.last_known import LastKnown
from presagio.inference.unit_order import order_by_unit
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]
_UNIT, _TIME = "@unit", "@time"


@dataclass(frozen=True)
class Tail:
    """Readings of units that later ones may need, unit by unit and in order of time.

    Attributes
    ----------
    units
        Names, shape ``(n,)``.
    times
        As numbers, shape ``(n,)``.
    rows
        Shape ``(n, k)``, the columns of ``spec.input_names``.
    """

    units: NDArray[Any]
    times: NDArray[Any]
    rows: Floats

    @classmethod
    def empty(cls, spec: MachineSpec) -> "Tail":
        """Return what is known before the first file."""
        return cls(np.empty(0, dtype=object), np.empty(0), np.empty((0, len(spec.input_names))))

    @property
    def earliest(self) -> float:
        """The earliest time; infinity where there is none."""
        return float(self.times.min()) if len(self.times) else np.inf

    def digest(self) -> str:
        """Return a SHA-256 of what it holds."""
        found = hashlib.sha256("\0".join(map(str, self.units)).encode())
        found.update(np.ascontiguousarray(self.times, dtype=np.float64).tobytes())
        found.update(np.ascontiguousarray(self.rows).tobytes())
        return found.hexdigest()

    def write(self, path: Path, about: Mapping[str, str]) -> None:
        """Write it to a file, with what there is to say about it."""
        frame = pl.DataFrame(self.rows, schema=[f"{i}" for i in range(self.rows.shape[1])])
        units = pl.Series(_UNIT, self.units.tolist(), dtype=pl.String)
        frame = frame.insert_column(0, units).insert_column(1, pl.Series(_TIME, self.times))
        frame.write_parquet(path, metadata=dict(about))

    @classmethod
    def read(cls, path: Path) -> "Tail":
        """Read what :meth:`write` has written."""
        frame = pl.read_parquet(path, glob=False)
        rows = np.ascontiguousarray(frame.drop(_UNIT, _TIME).to_numpy(), dtype=np.float64)
        return cls(frame[_UNIT].to_numpy().astype(object), frame[_TIME].to_numpy(), rows)


def about_tail(path: Path) -> dict[str, str]:
    """Return what :meth:`Tail.write` was told to say about a file."""
    return pl.read_parquet_metadata(path)


@dataclass
class Tails:
    """Puts readings together that come part by part, and keeps what later ones need.

    Attributes
    ----------
    spec
        The machine spec.
    """

    spec: MachineSpec
    _by_unit: dict[str, tuple[NDArray[Any], Floats]] = field(default_factory=dict)

    def add(self, units: NDArray[Any], times: NDArray[Any], rows: Floats) -> None:
        """Take readings that come after those that were taken before.

        Parameters
        ----------
        units, times, rows
            As of :class:`Tail`, of shapes ``(n,)``, ``(n,)`` and ``(n, k)``, in any order.
        """
        if not len(units):
            return
        known = list(dict.fromkeys(units.tolist()))
        before = self.of(known)
        units = np.concatenate([before.units, units])
        times = np.concatenate([before.times, times]) if len(before.times) else times
        rows = np.vstack([before.rows, rows])
        places = {name: i for i, name in enumerate(known)}
        codes = np.array([places[name] for name in units.tolist()], dtype=np.int64)
        if self.spec.carried_names:
            rows = LastKnown(self.spec).carry(rows, codes, times)[:, : rows.shape[1]]
        found = order_by_unit(codes, times)
        order = found.order[found.in_time]
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        ends = np.append(starts[1:], len(order))
        for name, start, end in zip(known, starts.tolist(), ends.tolist(), strict=True):
            kept = order[_needed(self.spec, start, end)]
            self._by_unit[name] = times[kept], rows[kept]

    def of(self, units: Iterable[str]) -> Tail:
        """Return what is kept of some units."""
        names = [name for name in units if name in self._by_unit]
        if not names:
            return Tail.empty(self.spec)
        parts = [self._by_unit[name] for name in names]
        counts = [len(times) for times, _ in parts]
        return Tail(
            np.repeat(np.array(names, dtype=object), counts),
            np.concatenate([times for times, _ in parts]),
            np.vstack([rows for _, rows in parts]),
        )

    @property
    def tail(self) -> Tail:
        """All that is kept."""
        return self.of(self._by_unit)

    def overlaps(self, later: Tail) -> bool:
        """Tell whether a file has readings of a unit from before those that are kept.

        What it leaves behind then hangs on them: a reading that comes after a later one of its
        unit neither has a history nor is one.
        """
        first = dict(zip(later.units.tolist()[::-1], later.times.tolist()[::-1], strict=True))
        return any(
            time < self._by_unit[name][0][-1]
            for name, time in first.items()
            if name in self._by_unit
        )

    def replace(self, after: Tail) -> None:
        """Take what is kept of units, whatever was kept of them before."""
        names = after.units
        starts = np.flatnonzero(names[1:] != names[:-1]) + 1
        for start, end in zip([0, *starts], [*starts, len(names)], strict=True):
            self._by_unit[names[start]] = after.times[start:end], after.rows[start:end]


def _needed(spec: MachineSpec, start: int, end: int) -> NDArray[np.int64]:
    """Return which of a unit's readings later ones need: its first ones and its newest ones."""
    first = max(1, spec.windows.first if spec.windows is not None else 0)
    newest = max(1, spec.longest_window - 1)
    if end - start <= first + newest:
        return np.arange(start, end)
    return np.concatenate([np.arange(start, start + first), np.arange(end - newest, end)])
