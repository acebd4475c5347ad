"""Missing values for which the last value that the unit had stands in: carried forward.

The one definition, for training, bulk scoring and files alike. What is carried to a reading comes
from that unit's readings before it, never from a later one. A reading that comes after one with a
later time of its unit neither takes nor gives: what was known at its time is not known here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.unit_order import UnitOrder, order_by_unit
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]


class LastKnown:
    """Carries values forward over rows that may come part by part.

    Parameters
    ----------
    spec
        The machine spec, with ``carried_names``.
    """

    def __init__(self, spec: MachineSpec) -> None:
        self._spec = spec
        self._places = [spec.input_names.index(name) for name in spec.carried_names]
        self._optional = [spec.input_names.index(name) for name in spec.optional_names]
        # Of each unit seen so far: its newest time, and what it had last.
        self._units: NDArray[Any] = np.empty(0, dtype=np.int64)
        self._times: NDArray[Any] = np.empty(0)
        self._values = np.empty((0, len(self._places)))

    def carry(self, rows: Floats, units: NDArray[Any], times: NDArray[Any]) -> Floats:
        """Put the last known values in the place of gaps, and flags of gaps beside the inputs.

        Parameters
        ----------
        rows
            Shape ``(n, k)``, the columns of ``spec.input_names``; NaN where a value is missing.
        units, times
            Of which unit each row is, as a number, and when it was taken: shape ``(n,)``, times
            as numbers.

        Returns
        -------
        ndarray
            Shape ``(n, m)``, the columns of ``spec.model_inputs``. Where nothing was known before,
            and where the median is to stand in, NaN is left.
        """
        carried = np.hstack([rows, np.isnan(rows[:, self._optional])])
        if not len(rows):
            return carried
        here = np.isin(self._units, units)
        others = self._units[~here], self._times[~here], self._values[~here]
        self._units, self._times = self._units[here], self._times[here]
        self._values = self._values[here]
        before = len(self._units)
        units = np.concatenate([self._units, units])
        times = np.concatenate([self._times, times])
        found = order_by_unit(units, times)
        values = np.concatenate([self._values, rows[:, self._places]])[found.order]
        at = np.arange(len(values))
        for column in values.T:
            known = np.where(found.in_time & ~np.isnan(column), at, found.first)
            source = np.maximum.accumulate(known)
            column[:] = np.where(found.in_time, column[source], column)
        self._remember(units, times, values, found)
        self._units = np.concatenate([others[0], self._units])
        self._times = np.concatenate([others[1], self._times])
        self._values = np.concatenate([others[2], self._values])
        back = np.empty_like(values)
        back[found.order] = values
        carried[:, self._places] = back[before:]
        return carried

    def _remember(
        self, units: NDArray[Any], times: NDArray[Any], values: Floats, found: UnitOrder
    ) -> None:
        at = np.arange(len(values))
        newest = np.maximum.accumulate(np.where(found.in_time, at, found.first))
        last = newest[np.append(np.flatnonzero(np.diff(found.first)), len(at) - 1)]
        rows = found.order[last]
        self._units, self._times, self._values = units[rows], times[rows], values[last]
