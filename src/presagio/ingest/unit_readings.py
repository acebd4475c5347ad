"""One unit's readings, newest or oldest: from the parts that hold them, and from no others."""

from collections.abc import Generator
from functools import partial

import numpy as np
import polars as pl

from presagio.errors import DataError
from presagio.inference.event_features import EventTimes, event_columns
from presagio.ingest.curated import training_schema
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.events import UNIT, LoggedEvents, event_times
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers
from presagio.storage.unit_parts import UnitPart

# So many readings back a value is looked for that stands in for a missing one.
_CARRIED = 100


def unit_and_time(spec: MachineSpec) -> tuple[str, str]:
    """Return the names of the columns of unit and time.

    Raises
    ------
    DataError
        If the machine spec has none.
    """
    if spec.unit is None or spec.time is None:
        raise DataError(f"the machine spec of {spec.name} has no [unit] and [time]")
    return spec.unit.name, spec.time.name


def readings_of(intake: Intake, *, kept_bytes: int = 0) -> CuratedParts:
    """Return what reads readings of units; what it keeps in memory serves one unit after another.

    Parameters
    ----------
    intake
        Where they lie.
    kept_bytes
        How much it keeps.
    """
    columns = [RECEIPT, *training_schema(intake.spec)]
    return CuratedParts(intake, columns, kept_bytes=kept_bytes)


def unit_readings(
    intake: Intake, unit: str, count: int, *, newest: bool = True, since: float = -np.inf,
    until: float = np.inf, curated: CuratedParts | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Return readings of a unit, in order of time, each time once.

    Of two readings of one time the one of the earlier receipt counts.

    Parameters
    ----------
    intake
        Where they lie; of a machine with units and times.
    unit
        Its name.
    count
        How many.
    newest
        Whether the newest ones, else the oldest.
    since
        Only those after this time, as times are compared: of the unit's life since then.
    until
        Only those before this time, likewise.
    curated
        What reads them: of :func:`readings_of`; by default one for this call.

    Returns
    -------
    polars.DataFrame
        The columns of :func:`.curated.training_schema` and ``receipt_id``; empty of a unit that is
        not known.

    Raises
    ------
    DataError
        If the machine spec has no unit and time, or a part is gone.
    StorageError
        If store or ledger fail.
    """
    spec = intake.spec
    unit_and_time(spec)
    found = pl.DataFrame(schema={RECEIPT: pl.Int64(), **training_schema(spec)})
    curated = curated or readings_of(intake)
    for part in parts_with_readings(intake, unit, newest=newest):
        if len(found) >= count and not _may_change(part, spec, found, newest=newest):
            break
        if part.newest <= since:
            if newest:
                break
            continue
        if part.oldest >= until:
            if not newest:
                break
            continue
        found = once(spec, pl.concat([found, rows_of_part(curated, part, unit, since, until)]))
        found = found.tail(count) if newest else found.head(count)
    return found


def life_so_far(intake: Intake, unit: str, logged: LoggedEvents) -> pl.DataFrame:
    """Return what a model can use of a unit's life up to now: what ``POST /predict`` takes of it.

    Parameters
    ----------
    intake
        As of :func:`unit_readings`.
    unit
        Its name.
    logged
        The events of the fleet: a failure or a repair begins a life, and what they say at a reading
        may be a feature.

    Returns
    -------
    polars.DataFrame
        As of :func:`unit_readings`: the newest readings, as many as the longest window has, and
        before them the life's first ones, as many as the spec wants.
    """
    return life_before(intake, unit, event_times(logged.rows.filter(logged.rows[UNIT] == unit)))


def life_before(
    intake: Intake, unit: str, log: EventTimes, *, until: float = np.inf,
    curated: CuratedParts | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Return what a model can use of a unit's life before a time: see :func:`life_so_far`.

    Parameters
    ----------
    intake, unit
        As of :func:`unit_readings`.
    log
        The unit's events; those at the time and later do not count.
    until, curated
        As of :func:`unit_readings`.
    """
    spec = intake.spec
    ended = log.times[log.ended].astype(np.float64)
    since = float(ended[ended < until].max(initial=-np.inf))
    wanted, wanted_first = _CARRIED if spec.carried_names else 1, 0
    if spec.windows is not None:
        wanted, wanted_first = max(wanted, spec.longest_window), spec.windows.first
    # One more: an error counts since the reading before.
    read = partial(unit_readings, intake, unit, since=since, until=until, curated=curated)
    newest = read(wanted + 1)
    first = newest.head(0)
    if wanted_first and len(newest) > wanted:
        first = read(wanted_first + 1, newest=False)
    if spec.event_features and len(log.times):
        first, newest = (_with_events(spec, rows, log) for rows in (first, newest))
    return once(spec, pl.concat([first.head(wanted_first), newest.tail(wanted)]))


def _with_events(spec: MachineSpec, rows: pl.DataFrame, log: EventTimes) -> pl.DataFrame:
    unit, time = spec.needed_columns[:2]
    found = event_columns(spec, rows[unit].to_numpy(), time_numbers(rows[time]), log)
    return rows.with_columns(
        pl.Series(spec.input_names[place], values).fill_nan(None) for place, values in found.items()
    )


def parts_with_readings(
    intake: Intake, unit: str, *, newest: bool
) -> Generator[UnitPart, None, None]:
    """Yield the parts that hold readings of a unit, the newest or the oldest first."""
    for part in intake.ledger.parts_of_unit(intake.prefixes.bucket, unit, newest_first=newest):
        # Of logs that were filed before parts were listed.
        if not intake.is_of_events(part.source_key):
            yield part


def _may_change(part: UnitPart, spec: MachineSpec, found: pl.DataFrame, *, newest: bool) -> bool:
    """Tell whether a part, and those after it, may hold what belongs among what was found."""
    times = time_numbers(found[spec.needed_columns[1]])
    # Of the same time it may be of an earlier receipt.
    return bool(part.newest >= times[0]) if newest else bool(part.oldest <= times[-1])


def rows_of_part(
    curated: CuratedParts, part: UnitPart, unit: str, since: float, until: float = np.inf
) -> pl.DataFrame:
    """Return a unit's readings after one time and before another, of one part."""
    spec = curated.spec
    unit_name, time_name = spec.needed_columns[:2]
    if part.is_compacted:
        rows = curated.compacted(part.key, part.receipt_id, pl.col(unit_name) == unit)
    else:
        rows = curated.read(part.key, part.receipt_id).filter(pl.col(unit_name) == unit)
    times = time_numbers(rows[time_name])
    return rows.filter(pl.Series((times > since) & (times < until), dtype=pl.Boolean))


def once(spec: MachineSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """Return one unit's readings in order of time, each time once: that of the earlier receipt."""
    time = spec.needed_columns[1]
    ordered = rows.sort(time, RECEIPT, maintain_order=True)
    return ordered.unique(subset=time, keep="first", maintain_order=True)
