"""What a model takes of the last of one unit's readings, in order of time.

The same values as :class:`.series.SeriesFeatures` makes of them, without what many units and parts
of a file need: most of an answer's time would go into that.
"""

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.conditions import Conditions
from presagio.inference.event_features import without_event
from presagio.inference.windows import of_windows, weights
from presagio.machine.learning import Windows
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]

# So many products of weights are remembered: readings that come irregularly have many.
_MOST_WEIGHTS = 2000


class OneSeries:
    """Makes a model's inputs of the last reading of a series.

    Parameters
    ----------
    spec
        The machine spec, whose inputs hang on a unit's readings before.
    conditions
        Where windows are by condition.
    """

    def __init__(self, spec: MachineSpec, conditions: Conditions | None = None) -> None:
        self._windows, self._conditions = spec.windows, conditions
        self._lengths, self._longest = spec.window_lengths, spec.longest_window
        spans = [length.span for length in self._lengths]
        self._spans = None if np.isinf(spans).all() else np.array(spans)
        # By how many readings each window has, and how many there are.
        statistics = () if spec.windows is None else spec.windows.statistics
        self._weights = lru_cache(_MOST_WEIGHTS)(partial(weights, self._lengths, statistics))
        self._optional = [spec.input_names.index(name) for name in spec.optional_names]
        self._counted = [spec.input_names.index(name) for name in spec.counted_names]
        self._carried = [spec.input_names.index(name) for name in spec.carried_names]
        places = [spec.input_names.index(name) for name in spec.windowed_names]
        # All of them in order, as they mostly are, need no copy.
        self._windowed = None if places == list(range(len(spec.input_names))) else places

    def last(self, rows: Floats, times: NDArray[Any]) -> Floats:
        """Return what a model takes of the last reading.

        Parameters
        ----------
        rows
            Shape ``(n, k)``, the columns of ``spec.input_names``, in order of time; NaN where a
            value is missing.
        times
            As numbers, growing: shape ``(n,)``.

        Returns
        -------
        ndarray
            Shape ``(m,)``, the columns of ``spec.model_inputs``; NaN where nothing is known.
        """
        rows = without_event(rows, self._counted)
        missing = np.isnan(rows[-1, self._optional])
        rows = self._with_last_known(rows)
        parts = [rows[-1], missing]
        if (windows := self._windows) is not None:
            newest = self._values(rows[-self._longest :])
            counts = self._counts(times[-self._longest :])
            parts.append(self._statistics(windows, newest, counts))
            if self._conditions is not None:
                parts.append(newest[-1])
            if windows.first:
                shortest = min(zip(self._lengths, counts, strict=True), key=lambda one: one[0].rows)
                recent = self._mean(newest[-shortest[1] :])
                parts.append(recent - self._mean(self._values(rows[: windows.first])))
            if self._counted:
                events = rows[-self._longest :, self._counted]
                parts += [events[-count:].sum(axis=0) for count in counts]
            if windows.age:
                parts.append(times[-1:])
        return np.concatenate(parts, dtype=np.float64)

    def _counts(self, times: NDArray[Any]) -> tuple[int, ...]:
        """Return of how many readings each window is; times have shape ``(n,)``."""
        count = len(times)
        if self._spans is None:
            return tuple(min(length.rows, count) for length in self._lengths)
        newer = (times[-1] - times[:, None] < self._spans).sum(axis=0).tolist()
        return tuple(
            min(length.rows, within) for length, within in zip(self._lengths, newer, strict=True)
        )

    def _statistics(self, windows: Windows, newest: Floats, counts: tuple[int, ...]) -> Floats:
        """Return the statistics of all windows of readings, shape ``(n, k)``; in one product."""
        if (by := self._weights(counts, len(newest))) is not None:
            product: Floats = by @ newest
            # A gap makes a gap of every sum that it is in, so nothing was lost.
            if not np.isnan(product).any():
                return product.ravel()
        parts = [
            column[0]
            for length, count in zip(self._lengths, counts, strict=True)
            for column in of_windows(newest[None, -count:], windows.statistics, length.rows)
        ]
        return np.concatenate(parts)

    def _with_last_known(self, rows: Floats) -> Floats:
        if not self._carried or not np.isnan(rows[:, self._carried]).any():
            return rows
        rows, at = rows.copy(), np.arange(len(rows))
        for place in self._carried:
            known = np.where(np.isnan(rows[:, place]), 0, at)
            rows[:, place] = rows[np.maximum.accumulate(known), place]
        return rows

    def _values(self, rows: Floats) -> Floats:
        if self._conditions is not None:
            return self._conditions.standardise(rows)
        return rows if self._windowed is None else rows[:, self._windowed]

    @staticmethod
    def _mean(values: Floats) -> Floats:
        found: Floats = np.full(len(values), 1 / len(values)) @ values
        if np.isnan(found).any():
            found = of_windows(values[None], ("mean",), len(values))[0][0]
        return found
