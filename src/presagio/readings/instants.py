"""When readings were taken, in cells of text: timestamps and counters, as Polars expressions."""

import math
from datetime import datetime
from typing import Any, Literal

import polars as pl
from numpy.typing import NDArray

from presagio.machine.series import TimeColumn
from presagio.readings.clock import END, FIRST
from presagio.readings.text_values import number_in

# Which text is one is not left to a parser: 2026-1-5, or 31/01/2026, is none.
_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?"
_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})"
_LOCAL = rf"^{_DATE}(?:[Tt ]{_CLOCK})?$"
_ZONED = rf"^{_DATE}[Tt ]{_CLOCK}{_OFFSET}$"
_UNIT: Literal["us"] = "us"


def time_type(time: TimeColumn) -> pl.DataType:
    """Return the type of a column of times: float64 for a counter, else microseconds in UTC."""
    return pl.Float64() if time.is_counter else pl.Datetime(_UNIT, "UTC")


def time_numbers(times: pl.Series) -> NDArray[Any]:
    """Return times as numbers that sort as they do, shape ``(n,)``; a gap is before all others."""
    if isinstance(times.dtype, pl.Datetime):
        return times.to_physical().fill_null(-(2**63)).to_numpy()
    return times.fill_null(-math.inf).to_numpy()


def written_time(time: float | datetime) -> float | str:
    """Return a time as JSON and people have it: a count, or ISO 8601."""
    return time.isoformat() if isinstance(time, datetime) else time


def time_in(text: pl.Expr, time: TimeColumn, mark: str = ".") -> pl.Expr:
    """Return the times that stripped text writes, null where it is none.

    Parameters
    ----------
    text
        Stripped text.
    time
        What the machine spec says of the column.
    mark
        What stands before decimals of a counter.
    """
    if time.is_counter:
        return number_in(text, mark)
    found = [_zoned(text), _in_zone(_local(text), time.zone)]
    if time.format is not None:
        found.insert(0, _formatted(text, time.format, time.zone))
    instant = pl.coalesce(found)
    return pl.when(instant.is_between(FIRST, END, closed="left")).then(instant)


def _plain(text: pl.Expr) -> pl.Expr:
    """Write a time of ISO 8601 in one way: a space before the clock, seconds, a point."""
    spaced = text.str.replace(r"^(.{10})[Tt]", "${1} ").str.replace(",", ".", literal=True)
    with_clock = pl.when(spaced.str.len_bytes() == len("2026-01-31")).then(
        pl.concat_str(spaced, pl.lit(" 00:00:00"))
    ).otherwise(spaced)  # fmt: skip
    # A clock without seconds ends, or goes on with an offset, after the minutes.
    return with_clock.str.replace(r"^(.{10} \d{2}:\d{2})([^:].*)?$", "${1}:00${2}")


def _local(text: pl.Expr) -> pl.Expr:
    whole = pl.when(text.str.contains(_LOCAL)).then(_plain(text))
    return whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit=_UNIT)


def _zoned(text: pl.Expr) -> pl.Expr:
    whole = pl.when(text.str.contains(_ZONED)).then(_plain(text))
    offset = whole.str.replace(r"[Zz]$", "+00:00")
    return offset.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%z", strict=False, time_unit=_UNIT)


def _in_zone(local: pl.Expr, zone: str) -> pl.Expr:
    """Place local times; null for an hour that stands twice, or not at all, in its zone."""
    placed = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    return placed.dt.convert_time_zone("UTC")


def _formatted(text: pl.Expr, written: str, zone: str) -> pl.Expr:
    parsed = text.str.to_datetime(written, strict=False, time_unit=_UNIT)
    return parsed if "%z" in written else _in_zone(parsed, zone)
