"""A unit's readings of a span of time, to be looked at: from a bounded number of parts."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT, curated_schema
from presagio.ingest.unit_readings import unit_and_time
from presagio.ingest.unit_rows import once, rows_of_part
from presagio.readings.instants import time_numbers
from presagio.storage.kept_frames import KeptFrames
from presagio.storage.parts_of_units import FoundPart, PartPlace, UnitTimes

# Parts are read beside each other: most of the time goes by waiting for the store.
_AT_ONCE = 4


@dataclass(frozen=True)
class Span:
    """Which readings of a unit are wanted: the newest ones within a span.

    Attributes
    ----------
    count
        How many at most.
    after, until
        Only those after one time and up to another, as times are compared.
    parts
        From so many objects at most: a unit's readings may lie in as many files as it has readings.
    """

    count: int = 500
    after: float = -math.inf
    until: float = math.inf
    parts: int = 64


@dataclass(frozen=True)
class FoundReadings:
    """Readings of a unit.

    Attributes
    ----------
    rows
        ``receipt_id``, the time, and what was asked for; in order of time, each time once.
    times
        As they are compared, shape ``(n,)``.
    has_older
        Whether the span holds older ones, which are left out.
    is_cut
        Whether these are fewer than were wanted, since more parts hold them than are read.
    """

    rows: pl.DataFrame
    times: NDArray[np.float64]
    has_older: bool
    is_cut: bool


def readings_of_span(
    intake: Intake, unit: str, columns: Sequence[str], span: Span, kept: KeptFrames | None = None
) -> FoundReadings:
    """Return the newest readings of a unit within a span.

    Of two readings of one time the one of the earlier receipt counts.

    Parameters
    ----------
    intake
        Where they lie; of a machine with units and times.
    unit
        Its name.
    columns
        What is wanted of each, of :func:`.outputs.curated_schema`.
    span
        Which ones.
    kept
        Parts that were read lately: the newest ones are those of most units.

    Raises
    ------
    DataError
        If the machine spec has no unit and time, or a part is gone.
    StorageError
        If store or ledger fail.
    """
    spec = intake.spec
    unit_name, time_name = unit_and_time(spec)
    wanted = list(dict.fromkeys((RECEIPT, unit_name, time_name, *columns)))
    parts = _parts(intake, unit, span)
    schema = curated_schema(spec)
    found = pl.DataFrame(schema={name: schema[name] for name in wanted})
    unread, reader = parts, _Reader(intake, wanted, unit, span, kept or KeptFrames())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while unread and len(parts) - len(unread) < span.parts:
            if _is_enough(intake, found, span.count, unread[0]):
                break
            some = unread[: min(_AT_ONCE, span.parts - len(parts) + len(unread))]
            found = once(spec, pl.concat([found, *pool.map(reader.read, some)]))
            unread = unread[len(some) :]
    return _cut(intake, found, span, unread)


@dataclass(frozen=True)
class _Part:
    """A part that holds readings of the unit, and the newest time of them."""

    lies: FoundPart
    newest: float


def _times(unit: str, span: Span) -> UnitTimes:
    """Return the unit with the span's times, of which the last one is in it."""
    return UnitTimes([unit], [span.after], [math.nextafter(span.until, math.inf)])


def _parts(intake: Intake, unit: str, span: Span) -> list[_Part]:
    """Return the parts to read, the newest first, and one more where there are more."""
    with intake.ledger.parts_of_units(intake.prefixes.bucket) as parts:
        listed = parts.listed(_times(unit, span), passed=0, count=span.parts + 1, newest_first=True)
        places = [PartPlace(one.number, one.part, one.is_compacted) for one in listed]
        known = parts.found(places)
    found = [
        _Part(known[place], one.newest)
        for place, one in zip(places, listed, strict=True) if place in known
    ]  # fmt: skip
    # Logs that were filed before parts were listed are no readings.
    return [part for part in found if not intake.is_of_events(part.lies.source_key)]


def _is_enough(intake: Intake, found: pl.DataFrame, count: int, following: _Part) -> bool:
    """Tell whether neither a part nor those after it can change the newest readings."""
    if len(found) < count:
        return False
    oldest = time_numbers(found[intake.spec.needed_columns[1]])[-count]
    return bool(following.newest < oldest)


@dataclass(frozen=True)
class _Reader:
    """Reads a unit's rows of parts."""

    intake: Intake
    columns: list[str]
    unit: str
    span: Span
    kept: KeptFrames

    def read(self, part: _Part) -> pl.DataFrame:
        """Return the unit's rows of a part."""
        lies = part.lies
        # Each for itself: what one remembers is not made for several threads.
        curated = CuratedParts(self.intake, self.columns)
        unit, time = self.intake.spec.needed_columns[:2]
        if not lies.digest:
            rows = rows_of_part(curated, lies, _times(self.unit, self.span))
        else:
            # With the rows of all units, which others will ask for.
            prefixes, spec = self.intake.prefixes, self.intake.spec
            key = (prefixes.curated_bucket, lies.key, lies.digest, spec.digest, *self.columns)
            every = self.kept.get(key, lambda: curated.read(lies.key, lies.number))
            rows = every.filter(pl.col(unit) == self.unit)
        times = time_numbers(rows[time])
        within = (times > self.span.after) & (times <= self.span.until)
        return rows.filter(pl.Series(within, dtype=pl.Boolean))


def _cut(intake: Intake, found: pl.DataFrame, span: Span, unread: Sequence[_Part]) -> FoundReadings:
    """Leave out what is more than was wanted, and what may have gaps since parts were not read."""
    times = time_numbers(found[intake.spec.needed_columns[1]]).astype(np.float64)
    is_cut = len(found) < span.count and bool(unread)
    kept = np.ones(len(found), dtype=bool)
    if is_cut and math.isfinite(unread[0].newest):
        kept = times > unread[0].newest
    kept[: max(len(found) - span.count, 0)] = False
    rows = found.filter(pl.Series(kept, dtype=pl.Boolean))
    return FoundReadings(rows, times[kept], bool(unread) or not kept.all(), is_cut)
