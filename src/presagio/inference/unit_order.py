"""Rows by their units, in the order in which they came; which of them are in order of time."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


class UnitOrder(NamedTuple):
    """Rows by their units, in the order in which they came.

    Attributes
    ----------
    order
        Positions of the rows, unit by unit.
    first
        For each of them the place in ``order`` of its unit's first row.
    in_time
        For each of them whether no row of its unit before it has a later time.
    """

    order: Positions
    first: Positions
    in_time: NDArray[np.bool_]


def order_by_unit(units: NDArray[Any], times: NDArray[Any]) -> UnitOrder:
    """Order rows by their units; both arrays have shape ``(n,)``, with at least one row."""
    codes = np.unique(units, return_inverse=True)[1].astype(np.int64)
    ranks = np.unique(times, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(codes, kind="stable")
    codes, ranks = codes[order], ranks[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    first = np.repeat(starts, np.diff(np.append(starts, len(codes))))
    # Times of a later unit are above all of an earlier one, so its largest begins anew.
    keys = codes * (len(codes) + 1) + ranks
    return UnitOrder(order, first, keys == np.maximum.accumulate(keys))
