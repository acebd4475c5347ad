"""What a log of events says at readings: errors since the one before, and time since a repair.

The one definition, for training and for whoever asks: what a log tells is joined to readings here.
A reading knows of events up to its time, and of none that comes later.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.machine.inputs import EventFeature
from presagio.machine.spec import MachineSpec

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EventTimes:
    """Events that a log tells of.

    Attributes
    ----------
    units
        Shape ``(m,)``.
    times
        As numbers, shape ``(m,)``.
    failed, ended
        Whether it is a failure, and whether it is that or a repair, which both end a life, and no
        error: shape ``(m,)``.
    """

    units: NDArray[Any]
    times: NDArray[Any]
    failed: Bools
    ended: Bools


def without_event(rows: Floats, counted: list[int]) -> Floats:
    """Return rows in which no event is 0, and no gap.

    Parameters
    ----------
    rows
        Shape ``(n, k)``.
    counted
        Columns that count events.

    Returns
    -------
    ndarray
        Shape ``(n, k)``; a copy where something changes.
    """
    if not counted or not np.isnan(rows[:, counted]).any():
        return rows
    rows = rows.copy()
    rows[:, counted] = np.nan_to_num(rows[:, counted], nan=0.0)
    return rows


def event_features(
    units: NDArray[Any], times: NDArray[Any], log: EventTimes
) -> dict[EventFeature, Floats]:
    """Join a log of events to readings.

    Parameters
    ----------
    units, times
        Of which unit each reading is, and when it was taken, as a number: shape ``(n,)``.
    log
        The events.

    Returns
    -------
    dict
        Shape ``(n,)`` each. ``errors`` since the unit's reading before, or since the repair or
        failure after it; of its first reading, at its time. The time ``since_repair`` or failure,
        as times are; NaN where none is known of. A reading at the time of one is of the life that
        it ends, as for labels.
    """
    codes = np.unique(np.concatenate([units, log.units]), return_inverse=True)[1].astype(np.int64)
    clock = np.concatenate([times, log.times]).astype(np.float64)
    instants, ranks = np.unique(clock, return_inverse=True)
    # Sorted by these, everything is unit by unit and in order of time.
    keys = codes * len(instants) + ranks
    rows = len(units)
    here, events = keys[:rows], keys[rows:]
    order = np.argsort(here, kind="stable")
    here = here[order]
    is_first = np.diff(codes[:rows][order], prepend=-1) != 0
    errors, ends = np.sort(events[~log.ended]), np.sort(events[log.ended])
    known = np.searchsorted(errors, here, side="right")
    before = np.where(is_first, np.searchsorted(errors, here, side="left"), np.roll(known, 1))
    since = np.full(rows, np.nan)
    if len(ends):
        last = np.searchsorted(ends, here, side="left") - 1
        end = ends[np.maximum(last, 0)]
        ended = (last >= 0) & (end // len(instants) == here // len(instants))
        at_end = np.searchsorted(errors, end, side="right")
        before = np.where(ended, np.where(is_first, at_end, np.maximum(before, at_end)), before)
        apart = instants[here % len(instants)] - instants[end % len(instants)]
        since = np.where(ended, apart, np.nan)
    back = np.empty(rows, dtype=np.int64)
    back[order] = np.arange(rows)
    return {"errors": (known - before)[back].astype(np.float64), "since_repair": since[back]}


def event_columns(
    spec: MachineSpec, units: NDArray[Any], times: NDArray[Any], log: EventTimes
) -> dict[int, Floats]:
    """Return the columns of ``spec.input_names`` that are of events, by their places.

    Parameters
    ----------
    spec
        The machine spec.
    units, times, log
        As of :func:`event_features`, shape ``(n,)``; columns have that shape too.
    """
    found = event_features(units, times, log)
    return {
        spec.input_names.index(feature.name): found[feature.from_events] / spec.span_of(feature)
        for feature in spec.event_features
        if feature.from_events is not None
    }
