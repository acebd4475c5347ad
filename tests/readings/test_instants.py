from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.machine.series import TimeColumn
from presagio.readings.clock import plain_instant
from presagio.readings.instants import time_in, time_numbers

_MADRID = TimeColumn(name="t", zone="Europe/Madrid")


def _read(text: str, time: TimeColumn, mark: str = ".") -> object:
    frame = pl.DataFrame({"t": [text]})
    return frame.select(time_in(pl.col("t"), time, mark)).item()


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T07:30:00Z", "2026-01-31 07:30:00Z", "2026-01-31t07:30z", "2026-01-31 07:30",
        "2026-01-31T08:30:00+01:00", "2026-01-31T08:30+0100", "2026-01-31 07:30:00.000000",
        "2026-01-31 07:30:00,000", "2026-01-31 02:30:00-05:00",
    ],
)  # fmt: skip
def test_one_moment_in_many_spellings(text: str) -> None:
    assert _read(text, TimeColumn(name="t")) == datetime(2026, 1, 31, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-1-31", "2026-02-30", "2026-13-01", "31/01/2026", "2026-01-31 24:00",
        "2026-01-31 07:60", "2026-01-31 7:30", "2026-01-31T07", "0001-01-01", "2200-01-01",
        "2026-01-31 07:30 CET", "20260131", "1769844600", "now", "2026-01-31Z", "x" * 300,
    ],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    assert _read(text, TimeColumn(name="t")) is None


def test_a_time_without_an_offset_is_of_the_plants_zone() -> None:
    assert _read("2026-07-01 10:00", _MADRID) == datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert _read("2026-07-01 10:00Z", _MADRID) == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_an_hour_that_stands_twice_or_never_needs_its_offset() -> None:
    assert _read("2026-10-25 02:30", _MADRID) is None
    assert _read("2026-03-29 02:30", _MADRID) is None
    assert _read("2026-10-25 02:30+01:00", _MADRID) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_format_of_the_plant_is_read_beside_iso_8601() -> None:
    time = TimeColumn(name="t", zone="Europe/Madrid", format="%d/%m/%Y %H:%M")
    expected = datetime(2026, 1, 31, 7, 30, tzinfo=UTC)
    assert _read("31/01/2026 08:30", time) == _read("2026-01-31 08:30", time) == expected
    assert _read("01/31/2026 08:30", time) is None
    zoned = TimeColumn(name="t", format="%d.%m.%y %H:%M %z")
    assert _read("31.01.26 08:30 +0100", zoned) == expected
    days = TimeColumn(name="t", format="%d.%m.%Y")
    assert _read("31.01.2026", days) == datetime(2026, 1, 31, tzinfo=UTC)


def test_a_counter_is_a_number_as_the_file_writes_them() -> None:
    count = TimeColumn(name="t", kind="counter")
    assert [_read(text, count) for text in ("7", "7.5", "1e3")] == [7.0, 7.5, 1000.0]
    assert _read("7,5", count, mark=",") == 7.5
    assert [_read(text, count) for text in ("", "7,5", "seven", "2026-01-31")] == [None] * 4


def test_times_sort_as_numbers_and_a_gap_is_first() -> None:
    text = pl.DataFrame({"t": ["2026-01-02", "2026-01-01 10:00", "x"]})
    times = text.select(time_in(pl.col("t"), TimeColumn(name="t"))).to_series()
    assert time_numbers(times).argsort().tolist() == [2, 1, 0]
    assert time_numbers(pl.Series([10.0, None, 2.0])).argsort().tolist() == [1, 2, 0]


_MOMENTS = st.datetimes(datetime(1899, 12, 30), datetime(2200, 1, 3))  # noqa: DTZ001 - as written
_OFFSETS = ("", "Z", "+05:30", "-11:00", "+23:59")


@given(
    _MOMENTS, st.sampled_from(["UTC", "Europe/Madrid"]), st.sampled_from(_OFFSETS),
    st.sampled_from(["T", " "]), st.sampled_from(["minutes", "seconds", "milliseconds", "auto"]),
)  # fmt: skip
def test_a_single_time_is_what_a_table_says_it_is(
    moment: datetime, zone: str, offset: str, between: str, precision: str
) -> None:
    text, time = moment.isoformat(between, precision) + offset, TimeColumn(name="at", zone=zone)
    found = plain_instant(text, of_utc=time.is_utc)
    table = pl.DataFrame({"at": [text]}).select(time_in(pl.col("at"), time)).to_series()
    if found is not None:
        assert table.to_physical().to_list() == [found]
    elif offset or time.is_utc:
        # Beyond the years that are taken.
        assert table.null_count() == 1


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-1-5 08:30", "2026-01-05 25:00", "x", "\u0662026-01-05T00:00"]
)
def test_a_text_that_is_not_plainly_a_time_is_left(text: str) -> None:
    assert plain_instant(text, of_utc=True) is None
