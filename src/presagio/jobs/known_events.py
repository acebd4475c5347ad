"""The events of a fleet, kept in memory while a program runs: a page reads only what is new.

A log is one object, and a case that somebody closes is a log of one line: to read all of them for
each page would take longer than the page may.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import polars as pl

from presagio.errors import StorageError
from presagio.ingest.curated import files_of_readings, processed_receipts
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.events import (
    RECEIPT,
    TIME,
    UNIT,
    LogFrames,
    LoggedEvents,
    events_of,
    log_frames,
)
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT as CURATED_RECEIPT
from presagio.machine.learning import IS_FAILURE, IS_REPAIR, MODE
from presagio.readings.instants import time_numbers
from presagio.storage.receipt import Receipt

# A log may be checked again, which is rare: so often all of them are listed anew.
_LISTED_EVERY_S = 60.0
# One reads what is new; who has to wait longer for that is shown the rest of the page.
_WAIT_S = 5.0


@dataclass(frozen=True)
class UnitEvent:
    """A failure, a repair or an error of a unit.

    Attributes
    ----------
    kind
        ``failure``, ``repair`` or ``error``.
    mode
        The failure mode, or the error's code; None where none is named.
    time
        As times are compared.
    receipt
        Of the log that says so.
    """

    kind: str
    mode: str | None
    time: float
    receipt: int


@contextmanager
def _alone(lock: Lock) -> Iterator[None]:
    """Read with nobody else, or wait no longer than a page may.

    Without an end all pages would wait in a row for a store that takes long not to answer.

    Raises
    ------
    StorageError
        If another one reads for longer.
    """
    if not lock.acquire(timeout=_WAIT_S):
        raise StorageError("logs of events are being read, which takes long; try again")
    try:
        yield
    finally:
        lock.release()


class KnownEvents:
    """What the logs of a fleet say; a log is read once. For several threads.

    Parameters
    ----------
    intake
        Where they lie.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake, self._lock = intake, Lock()
        self._frames: LogFrames = {}
        self._events = events_of(intake.spec, []) if intake.spec.is_series else None
        self._listed = -_LISTED_EVERY_S

    def read(self) -> LoggedEvents | None:
        """Return all events that are known now; None of a machine without units and times.

        Raises
        ------
        DataError
            If an object of a log is gone.
        StorageError
            If store or ledger fail.
        """
        if self._events is None:
            return None
        with _alone(self._lock):
            now = time.monotonic()
            if now - self._listed >= _LISTED_EVERY_S:
                frames = log_frames(self._intake, _logs(self._intake), self._frames)
                self._listed = now
            else:
                newest = max((number for number, _ in self._frames), default=0)
                frames = {**self._frames, **log_frames(self._intake, _logs(self._intake, newest))}
            if frames.keys() != self._frames.keys():
                rows = [(number, found) for (number, _), found in frames.items()]
                self._frames, self._events = frames, events_of(self._intake.spec, rows)
            return self._events

    def of_unit(self, unit: str) -> list[UnitEvent]:
        """Return the events of a unit, the newest first; as of :meth:`read`."""
        events = self.read()
        return [] if events is None else unit_events(events.rows.filter(pl.col(UNIT) == unit))[::-1]


class LabelledFailures:
    """Failures that readings themselves tell of, where their target does; each file is read once.

    For several threads. A file that is checked again later is as it was here, until the program is
    started again.

    Parameters
    ----------
    intake
        Where the readings lie.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake, self._lock = intake, Lock()
        self._found: list[tuple[str, float, int]] = []
        self._newest: int | None = None

    def read(self, *, after: int) -> list[tuple[str, float, int]]:
        """Return unit, time (as times are compared) and receipt of each failure.

        Parameters
        ----------
        after
            Files up to this receipt are not looked at.

        Raises
        ------
        DataError
            If rows of a file are gone.
        StorageError
            If store or ledger fail.
        """
        spec = self._intake.spec
        if not spec.is_series or not spec.needs_target:
            return []
        unit, time_name, target = *spec.needed_columns[:2], spec.target.name
        with _alone(self._lock):
            start = after if self._newest is None else self._newest
            curated = CuratedParts(self._intake, [unit, time_name, target])
            for rows in curated.blocks(files_of_readings(self._intake, start)):
                failed = rows.filter(target)
                times = time_numbers(failed[time_name]).astype(float).tolist()
                self._found += zip(failed[unit], times, failed[CURATED_RECEIPT], strict=True)
                self._newest = int(rows[CURATED_RECEIPT].to_numpy().max())
            return [*self._found]


def _logs(intake: Intake, after: int = 0) -> Iterator[Receipt]:
    return processed_receipts(intake, after=after, of_events=True)


def unit_events(rows: pl.DataFrame) -> list[UnitEvent]:
    """Return rows of :class:`.LoggedEvents` one by one."""
    kinds = rows.select(
        pl.when(IS_FAILURE).then(pl.lit("failure")).when(IS_REPAIR).then(pl.lit("repair"))
        .otherwise(pl.lit("error")).alias("kind")
    )["kind"]  # fmt: skip
    times = time_numbers(rows[TIME]).astype(float).tolist()
    return [
        UnitEvent(*found) for found in zip(kinds, rows[MODE], times, rows[RECEIPT], strict=True)
    ]
