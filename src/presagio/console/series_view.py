"""Charts for pages: what a script draws, as JSON, and the table behind it for who cannot see it."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from presagio.console.catalogue import mark
from presagio.console.presentation import Presentation
from presagio.machine.learning import MICROSECONDS
from presagio.machine.series import TimeColumn
from presagio.machine.titles import title_in

Floats = NDArray[np.float64]
Kind = Literal["line", "low", "high", "limit", "points"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of numbers that are only drawn.
_DIGITS = 6


@dataclass(frozen=True)
class Times:
    """Times of a machine, as they are compared, for people and for scripts.

    Attributes
    ----------
    column
        What the machine spec says of them.
    """

    show: Presentation
    column: TimeColumn

    @property
    def are_dates(self) -> bool:
        """Whether they are points in time, and no counts."""
        return not self.column.is_counter

    @property
    def day(self) -> str:
        """What spans of time are counted in: days, or what a counter is called."""
        if self.are_dates:
            return self.show.catalogue.gettext(mark("days"))
        return title_in(self.column.title or self.column.name, self.show.catalogue.language)

    def written(self, time: float | None) -> str:
        """Write a time: a date of the plant, or a count."""
        if time is None or not math.isfinite(time):
            return self.show.number(None)
        if self.are_dates:
            return self.show.moment(_EPOCH + timedelta(microseconds=time))
        return self.show.number(time, 3)

    def drawn(self, times: Floats) -> list[float | None]:
        """Return times of shape ``(n,)`` as scripts take them: seconds since 1970, or counts."""
        return _plain(times / MICROSECONDS if self.are_dates else times, digits=15)


@dataclass(frozen=True)
class Line:
    """Values over the times of a chart; ``low`` and ``high`` are drawn as a band."""

    label: str
    values: Floats
    kind: Kind = "line"


@dataclass(frozen=True)
class Mark:
    """Something that happened at a time: ``failure``, ``repair`` or ``alarm``."""

    time: float
    kind: str
    label: str


@dataclass(frozen=True)
class Column:
    """A column of the table behind a chart: its title, and its cells as they are written."""

    title: str
    cells: Sequence[str]


@dataclass(frozen=True)
class ChartView:
    """A chart.

    Attributes
    ----------
    title
        What it shows, with the unit.
    data
        What the script draws, as JSON.
    notes
        What is to be said of it, such as which limits are on it.
    columns
        The table behind it, the times first.
    """

    title: str
    data: str
    notes: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The rows of the table."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


def drawing(
    times: Times, at: Floats, lines: Iterable[Line], marks: Iterable[Mark] = (),
    scale: tuple[float, float] | None = None,
) -> str:  # fmt: skip
    """Return what the script draws, as JSON.

    Parameters
    ----------
    times
        How times are written.
    at
        When values are of, shape ``(n,)``, growing.
    lines
        Values of that shape.
    marks
        What happened; what is outside of the times is not drawn.
    scale
        From where to where the values reach at least.
    """
    found = [mark for mark in marks if len(at) and at[0] <= mark.time <= at[-1]]
    where = times.drawn(np.array([mark.time for mark in found], dtype=np.float64))
    return json.dumps({
        "x": times.drawn(at),
        "dates": times.are_dates,
        "zone": times.show.zone.key,
        "range": scale,
        "lines": [
            {"label": line.label, "kind": line.kind, "values": _plain(line.values)}
            for line in lines
        ],
        "marks": [
            {"x": x, "kind": mark.kind, "label": mark.label}
            for x, mark in zip(where, found, strict=True)
        ],
    }, allow_nan=False, separators=(",", ":"))  # fmt: skip


def _plain(values: Floats, digits: int = _DIGITS) -> list[float | None]:
    return [
        float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist()
    ]
