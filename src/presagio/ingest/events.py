"""What the logs of a fleet say: its failures, repairs and errors, each once."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from presagio.inference.event_features import EventTimes
from presagio.ingest.curated import processed_receipts
from presagio.ingest.curated_parts import read_part
from presagio.ingest.filing import Intake
from presagio.ingest.readings_once import event_kind
from presagio.machine.learning import IS_FAILURE, IS_REPAIR, MODE
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers, time_type
from presagio.storage.receipt import Receipt

UNIT, TIME = "unit", "time"
RECEIPT = "receipt"
_NONE_KNOWN: Mapping[tuple[int, tuple[str, ...]], pl.DataFrame] = MappingProxyType({})


@dataclass(frozen=True)
class EventCounts:
    """What was found in logs of events.

    Attributes
    ----------
    failures, repairs, errors
        Events, each counted once.
    repeated
        Rows that tell of an event which an earlier file has rows of.
    contradicting
        Rows with another mode for a failure or repair of an earlier file; the earlier one counts.
    late
        Events that came in a file after one with later events of their unit; they count.
    """

    failures: int = 0
    repairs: int = 0
    errors: int = 0
    repeated: int = 0
    contradicting: int = 0
    late: int = 0


@dataclass(frozen=True)
class LoggedEvents:
    """The events of a fleet.

    Attributes
    ----------
    rows
        ``unit``, ``time``, ``is_failure``, ``is_repair``, ``mode`` and ``receipt``, by time.
    receipts
        Ids of the receipts of the logs.
    counts
        What was found.
    """

    rows: pl.DataFrame
    receipts: tuple[int, ...]
    counts: EventCounts

    @property
    def found(self) -> dict[str, Any]:
        """The counts by name."""
        return asdict(self.counts)


def events_of(spec: MachineSpec, frames: list[tuple[int, pl.DataFrame]]) -> LoggedEvents:
    """Put the rows of logs together, oldest file first; each event counts once.

    Parameters
    ----------
    spec
        The fleet's machine spec, with unit and time.
    frames
        Receipts and checked rows of files.
    """
    # Where there are both, they are the first.
    unit, time = spec.needed_columns[:2]
    parts = [
        rows.select(
            pl.col(unit).alias(UNIT), pl.col(time).alias(TIME), IS_FAILURE, IS_REPAIR,
            _mode(rows).alias(MODE), pl.lit(receipt, pl.Int64).alias(RECEIPT),
        )
        for receipt, rows in frames
    ]  # fmt: skip
    receipts = tuple(receipt for receipt, _ in frames)
    if not parts:
        return _no_events(spec, receipts)
    rows = pl.concat(parts)
    key = [pl.col(UNIT), pl.col(TIME), *event_kind(rows)]
    first, mode = pl.int_range(pl.len()).over(key) == 0, pl.col(MODE)
    rows = rows.with_columns(first=first, same=mode.eq_missing(mode.first().over(key)))
    # Within a file the order says nothing of an event was logged.
    newest = rows.group_by(RECEIPT, UNIT).agg(pl.col(TIME).max().alias("newest")).sort(RECEIPT)
    newest = newest.with_columns(pl.col("newest").cum_max().shift().over(UNIT).alias("before"))
    rows = rows.join(newest, on=[RECEIPT, UNIT], how="left", maintain_order="left")
    rows = rows.with_columns(late=pl.col(TIME) < pl.col("before"))
    once = rows.filter("first")
    failures, repairs = int(once[IS_FAILURE].sum()), int(once[IS_REPAIR].sum())
    counts = EventCounts(
        failures, repairs, len(once) - failures - repairs,
        int((~rows["first"] & rows["same"]).sum()), int((~rows["first"] & ~rows["same"]).sum()),
        int(once["late"].fill_null(value=False).sum()),
    )  # fmt: skip
    kept = once.select(UNIT, TIME, IS_FAILURE, IS_REPAIR, MODE, RECEIPT)
    return LoggedEvents(kept.sort(TIME, UNIT, maintain_order=True), receipts, counts)


def _mode(rows: pl.DataFrame) -> pl.Expr:
    """Return the mode; nothing is none."""
    if MODE not in rows.columns:
        return pl.lit(None, pl.String)
    return pl.when(pl.col(MODE).str.strip_chars() != "").then(MODE)


def event_times(rows: pl.DataFrame) -> EventTimes:
    """Return some of the events of :class:`LoggedEvents` as arrays."""
    return EventTimes(
        rows[UNIT].to_numpy(), time_numbers(rows[TIME]), rows[IS_FAILURE].to_numpy(),
        (rows[IS_FAILURE] | rows[IS_REPAIR]).to_numpy(),
    )  # fmt: skip


def _no_events(spec: MachineSpec, receipts: tuple[int, ...] = ()) -> LoggedEvents:
    schema = {
        UNIT: pl.String(), TIME: pl.Float64() if spec.time is None else time_type(spec.time),
        IS_FAILURE: pl.Boolean(), IS_REPAIR: pl.Boolean(), MODE: pl.String(), RECEIPT: pl.Int64(),
    }  # fmt: skip
    return LoggedEvents(pl.DataFrame(schema=schema), receipts, EventCounts())


LogFrames = dict[tuple[int, tuple[str, ...]], pl.DataFrame]


def log_frames(
    intake: Intake, receipts: Iterable[Receipt],
    known: Mapping[tuple[int, tuple[str, ...]], pl.DataFrame] = _NONE_KNOWN,
) -> LogFrames:  # fmt: skip
    """Read the checked rows of logs of a fleet.

    Parameters
    ----------
    intake
        Where they lie; of a machine with units and times.
    receipts
        Of the logs, oldest file first.
    known
        Those that were read before: a log that is unchanged is not read again.

    Returns
    -------
    dict
        By the number of the receipt, and the digests of its parts.

    Raises
    ------
    DataError
        If an object of theirs is gone.
    StorageError
        If store or ledger fail.
    """
    log, found = intake.of_events, LogFrames()
    wanted = [*(c.name for c in log.spec.kept_columns), IS_FAILURE, IS_REPAIR]
    for receipt in receipts:
        keys, digests = receipt.outcome.curated_keys, receipt.outcome.digests
        if keys:
            log_key = (receipt.id, tuple(digests.get(key, "") for key in keys))
            rows = known.get(log_key)
            if rows is None:
                rows = pl.concat(read_part(log, key, receipt.id, wanted) for key in keys)
            found[log_key] = rows
    return found


def read_events(intake: Intake) -> LoggedEvents:
    """Read the events that the fleet's logs tell of.

    Raises
    ------
    DataError
        If an object of theirs is gone.
    StorageError
        If store or ledger fail.
    """
    spec = intake.spec
    if not spec.is_series:
        return _no_events(spec)
    return events_of_receipts(intake, processed_receipts(intake, of_events=True))


def events_of_receipts(intake: Intake, receipts: Iterable[Receipt]) -> LoggedEvents:
    """Read the events of some logs, oldest file first; raises as :func:`read_events`."""
    frames = log_frames(intake, receipts)
    # Oldest file first; the parts of one stay in their order.
    return events_of(intake.spec, [(number, rows) for (number, _), rows in sorted(frames.items())])
