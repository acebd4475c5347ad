"""Moments of the database's clock, as a process knows them: to within a round trip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.serving.champion.clock import DatabaseClock

_OFFSET = 1.7e9


def test_a_clock_that_has_not_been_read_gives_no_moment() -> None:
    with pytest.raises(ValueError, match="has not been read"):
        DatabaseClock().moment(0.0, 0.0)


@given(
    trips=st.lists(
        st.tuples(
            st.floats(0, 9, allow_nan=False),
            st.floats(0, 0.03, allow_nan=False),
            st.floats(0, 1, allow_nan=False),
        ),
        min_size=1,
    ),
    ahead=st.floats(0, 5, allow_nan=False),
)
def test_before_it_closes_the_moment_is_not_there_and_when_it_opens_it_is(
    trips: list[tuple[float, float, float]], ahead: float
) -> None:
    clock = DatabaseClock()
    for began, seconds, share in sorted(trips):
        # Read at any time between the query's beginning and end.
        clock.measure(began, began + seconds, _OFFSET + began + seconds * share)
    moment = clock.moment(_OFFSET + 10 + ahead, 10.0)
    assert moment.closes <= 10 + ahead <= moment.opens
    # Answers wait no longer than that for a swap.
    assert moment.opens - moment.closes <= 0.051


def test_what_was_measured_long_ago_is_not_used() -> None:
    clock = DatabaseClock()
    clock.measure(0.0, 0.0, _OFFSET)
    clock.measure(20.0, 20.01, _OFFSET + 25)
    assert clock.now(20.0) == pytest.approx(_OFFSET + 25 - 0.005, abs=1e-3)
