"""From readings with units and times to what a model takes: what was carried, windows, age.

Features of a reading come from its unit's readings up to it and never from a later one. Rows may
come part by part: what later ones need of earlier ones is kept, a bounded number of rows a unit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.inference.conditions import Conditions
from presagio.inference.event_features import without_event
from presagio.inference.last_known import LastKnown
from presagio.inference.unit_order import order_by_unit
from presagio.inference.windows import window_statistics
from presagio.machine.learning import Windows
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

# Between the keys of two units; no unit has so many readings.
_APART = 1 << 40


class SeriesFeatures:
    """Makes a model's inputs of readings that may come part by part.

    Parameters
    ----------
    spec
        The machine spec, with ``series_names``.
    conditions
        Where windows are by condition.
    most_kept
        How many values of all units may be kept; None: as many as there are.
    """

    def __init__(
        self, spec: MachineSpec, conditions: Conditions | None = None,
        most_kept: int | None = None,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._codes: dict[Any, int] = {}
        self._optional = [spec.input_names.index(name) for name in spec.optional_names]
        self._counted = [spec.input_names.index(name) for name in spec.counted_names]
        self._last = LastKnown(spec) if spec.carried_names else None
        self._histories = None
        if spec.windows is not None:
            self._histories = _Histories(spec, spec.windows, conditions, most_kept)

    def expand(self, rows: Floats, units: NDArray[Any], times: NDArray[Any]) -> Floats:
        """Make a model's inputs.

        Parameters
        ----------
        rows
            Shape ``(n, k)``, the columns of ``spec.input_names``; NaN where a value is missing.
        units, times
            Of which unit each row is, and when it was taken: shape ``(n,)``, times as numbers.

        Returns
        -------
        ndarray
            Shape ``(n, m)``, the columns of ``spec.model_inputs``; NaN where nothing is known.

        Raises
        ------
        DataError
            If so many units come that what has to be kept of them does not fit into memory.
        """
        codes, known = np.empty(len(units), dtype=np.int64), self._codes
        for i, unit in enumerate(units.tolist()):
            codes[i] = known.setdefault(unit, len(known))
        units, rows = codes, without_event(rows, self._counted)
        if self._last is not None:
            found = self._last.carry(rows, units, times)
        else:
            found = np.hstack([rows, np.isnan(rows[:, self._optional])])
        windows = self._spec.windows
        if self._histories is None or windows is None:
            return found
        parts = [found, self._histories.columns(found, units, times)]
        if windows.age:
            parts.append(times.astype(np.float64)[:, None])
        return np.hstack(parts)


class _Histories:
    """The rows of each unit that windows may still need: its newest ones, and its first ones."""

    def __init__(
        self, spec: MachineSpec, windows: Windows, conditions: Conditions | None,
        most_kept: int | None,
    ) -> None:  # fmt: skip
        if windows.by_condition and conditions is None:
            raise ValueError("windows by condition need the conditions of a model")
        self._windows, self._conditions, self._most_kept = windows, conditions, most_kept
        self._lengths, self._longest = spec.window_lengths, spec.longest_window
        self._places = [spec.input_names.index(name) for name in spec.windowed_names]
        self._counted = [spec.input_names.index(name) for name in spec.counted_names]
        self._width = len(spec.window_columns)
        # Of the features that windows are of, then of those that are counted.
        self._values = np.empty((0, len(self._places) + len(self._counted)))
        self._units: Positions = np.empty(0, dtype=np.int64)
        self._times: NDArray[Any] = np.empty(0)
        self._ordinals: Positions = np.empty(0, dtype=np.int64)

    def columns(self, rows: Floats, units: Positions, times: NDArray[Any]) -> Floats:
        """Return the window columns of rows; NaN for one that comes after a later one."""
        found = np.full((len(rows), self._width), np.nan)
        if not len(rows):
            return found
        here_now = np.isin(self._units, units)
        others = self._kept(~here_now)
        self._units, self._times, self._values, self._ordinals = self._kept(here_now)
        before = len(self._units)
        units, times = np.concatenate([self._units, units]), np.concatenate([self._times, times])
        here = rows[:, self._places]
        if self._conditions is not None:
            here = self._conditions.standardise(rows)
        if self._counted:
            here = np.hstack([here, rows[:, self._counted]])
        values = np.concatenate([self._values, here])
        known = np.full(len(units), -1, dtype=np.int64)
        known[:before] = self._ordinals
        by_unit = order_by_unit(units, times)
        kept = by_unit.order[by_unit.in_time]
        groups = by_unit.first[by_unit.in_time]
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        sizes = np.diff(np.append(starts, len(groups)))
        start_of = np.repeat(starts, sizes)
        ordinals = _ordinals(known[kept], starts, sizes)
        values, new = values[kept], np.flatnonzero(kept >= before)
        series, counts = values[:, : len(self._places)], values[:, len(self._places) :]
        keys = np.repeat(np.arange(len(starts)), sizes) * _APART + ordinals
        clock, lengths, statistics = times[kept], self._lengths, self._windows.statistics
        columns = [window_statistics(series, keys, clock, lengths, statistics, new)]
        if self._conditions is not None:
            columns.append(series[new])
        if self._windows.first:
            columns.append(self._change(series, clock, ordinals, start_of, new, columns[0]))
        if self._counted:
            columns.append(window_statistics(counts, keys, clock, lengths, ("count",), new))
        found[kept[new] - before] = np.hstack(columns)
        newest = ordinals[start_of + np.repeat(sizes, sizes) - 1]
        needed = ordinals > newest - self._longest + 1
        needed |= (ordinals < self._windows.first) | (ordinals == newest)
        self._remember(
            others, units[kept[needed]], times[kept[needed]], values[needed], ordinals[needed]
        )
        return found

    def _kept(self, mask: NDArray[np.bool_]) -> tuple[Positions, NDArray[Any], Floats, Positions]:
        """Return what is kept of some rows."""
        return self._units[mask], self._times[mask], self._values[mask], self._ordinals[mask]

    def _remember(
        self, others: tuple[Positions, NDArray[Any], Floats, Positions], *newest: NDArray[Any]
    ) -> None:
        parts = [np.concatenate(pair) for pair in zip(others, newest, strict=True)]
        self._units, self._times, self._values, self._ordinals = parts
        if self._most_kept is not None and self._values.size > self._most_kept:
            raise DataError(
                f"{len(np.unique(self._units)):,} units have more readings to remember for windows "
                "than fit into memory; divide the file by units"
            )

    def _change(
        self, series: Floats, times: NDArray[Any], ordinals: Positions, start_of: Positions,
        new: Positions, statistics: Floats,
    ) -> Floats:  # fmt: skip
        """Return how far the shortest window's mean is from the mean of the unit's first rows."""
        windows, width = self._windows, len(self._places)
        shortest = min(self._lengths, key=lambda length: length.rows)
        if self._lengths[0] == shortest and windows.statistics[0] == "mean":
            recent = statistics[:, :width]
        else:
            keys = start_of * _APART + ordinals
            recent = window_statistics(series, keys, times, (shortest,), ("mean",), new)
        total, count = np.zeros((len(new), width)), np.zeros((len(new), width))
        for nth in range(windows.first):
            at = start_of[new] + nth
            there = ordinals[new] >= nth
            value = series[np.where(there, at, 0)]
            good = there[:, None] & ~np.isnan(value)
            total += np.where(good, value, 0.0)
            count += good
        first = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return recent - first


def _ordinals(known: Positions, starts: Positions, sizes: Positions) -> Positions:
    """Return the numbers of rows within their units, going on from known ones (others are -1)."""
    new = (known < 0).astype(np.int64)
    counted = np.cumsum(new)
    within = counted - np.repeat(counted[starts] - new[starts], sizes)
    last = np.repeat(np.maximum.reduceat(known, starts), sizes)
    numbered: Positions = np.where(new > 0, last + within, known)
    return numbered
