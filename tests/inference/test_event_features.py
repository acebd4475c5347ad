"""What a log says at readings: as by hand, in any order, and nothing of later events."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from presagio.inference.event_features import EventTimes, event_features

_UNITS = st.sampled_from("ab")
_READINGS = st.lists(st.tuples(_UNITS, st.integers(0, 12)), max_size=12, unique=True)
_EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.booleans()), max_size=8)
Events = list[tuple[str, int, bool]]


def _found(readings: list[tuple[str, int]], events: Events) -> list[tuple[float, float | None]]:
    found = event_features(
        np.array([unit for unit, _ in readings], dtype=object),
        np.array([time for _, time in readings], dtype=np.int64),
        EventTimes(
            np.array([unit for unit, _, _ in events], dtype=object),
            np.array([time for _, time, _ in events], dtype=np.int64),
            np.zeros(len(events), dtype=bool),
            np.array([ended for _, _, ended in events], dtype=bool),
        ),
    )
    since = [None if math.isnan(value) else value for value in found["since_repair"]]
    return list(zip(found["errors"].tolist(), since, strict=True))


def _by_hand(
    readings: list[tuple[str, int]], events: Events, unit: str, time: int
) -> tuple[float, float | None]:
    repairs = [t for u, t, ended in events if u == unit and t < time and ended]
    earlier = [t for u, t in readings if u == unit and t < time]
    before = max(earlier + repairs, default=time - 1)
    errors = sum(u == unit and before < t <= time and not ended for u, t, ended in events)
    return float(errors), time - max(repairs) if repairs else None


@given(_READINGS, _EVENTS)
def test_as_by_hand_in_any_order(readings: list[tuple[str, int]], events: Events) -> None:
    assert _found(readings, events) == [_by_hand(readings, events, *r) for r in readings]


@given(_READINGS, _EVENTS, st.integers(0, 12))
def test_nothing_is_known_of_later_events(
    readings: list[tuple[str, int]], events: Events, now: int
) -> None:
    known = [event for event in events if event[1] <= now]
    for reading, before, after in zip(
        readings, _found(readings, known), _found(readings, events), strict=True
    ):
        if reading[1] <= now:
            assert before == after
