"""What a model can use of the lives of units: their newest readings, and the first ones of each."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from presagio.inference.event_features import EventTimes, event_columns
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.events import UNIT, LoggedEvents, event_times
from presagio.ingest.filing import Intake
from presagio.ingest.unit_readings import readings_of_units
from presagio.ingest.unit_rows import ends_of_units, once
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers
from presagio.storage.parts_of_units import UnitTimes

# So many readings back a value is looked for that stands in for a missing one.
_CARRIED = 100


def life_so_far(intake: Intake, unit: str, logged: LoggedEvents) -> pl.DataFrame:
    """Return what a model can use of a unit's life up to now: what ``POST /predict`` takes of it.

    Parameters
    ----------
    intake
        Where readings lie; of a machine with units and times.
    unit
        Its name.
    logged
        The events of the fleet: a failure or a repair begins a life, and what they say at a reading
        may be a feature.

    Returns
    -------
    polars.DataFrame
        As of :func:`lives_before`.
    """
    log = event_times(logged.rows.filter(logged.rows[UNIT] == unit))
    return lives_before(intake, {unit: np.inf}, log)


def lives_before(
    intake: Intake, until: Mapping[str, float], log: EventTimes,
    curated: CuratedParts | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Return what a model can use of the lives of units before some times.

    Parameters
    ----------
    intake
        Where readings lie; of a machine with units and times.
    until
        Units, and before which time, as times are compared.
    log
        Their events; those at the time and later begin no life.
    curated
        What reads readings: of :func:`.readings_of`; by default one for this call.

    Returns
    -------
    polars.DataFrame
        As of :func:`.readings_of_units`: of each unit its newest readings, as many as the longest
        window has, and the life's first ones, as many as the spec wants.
    """
    spec, times = intake.spec, UnitTimes([*until], _began(until, log), [*until.values()])
    wanted, wanted_first = needed_of_a_life(spec)
    # One more: an error counts since the reading before.
    newest = readings_of_units(intake, times, wanted + 1, curated=curated)
    first = newest.head(0)
    if wanted_first:
        more = _with_more(times, newest, spec, wanted)
        first = readings_of_units(intake, more, wanted_first + 1, newest=False, curated=curated)
    if spec.event_features and len(log.times):
        first, newest = (_with_events(spec, rows, log) for rows in (first, newest))
    first = ends_of_units(spec, first, wanted_first, newest=False)
    newest = ends_of_units(spec, newest, wanted, newest=True)
    return once(spec, pl.concat([first, newest]))


def needed_of_a_life(spec: MachineSpec) -> tuple[int, int]:
    """Return how many of a life's newest readings a model uses, and how many of its first ones."""
    wanted = _CARRIED if spec.carried_names else 1
    if spec.windows is None:
        return wanted, 0
    return max(wanted, spec.longest_window), spec.windows.first


def _began(until: Mapping[str, float], log: EventTimes) -> list[float]:
    """Return when the lives began: at the last failure or repair before the time of each unit."""
    found = dict.fromkeys(until, -np.inf)
    ended = zip(log.units[log.ended].tolist(), log.times[log.ended].tolist(), strict=True)
    for unit, time in ended:
        if unit in found and found[unit] < time < until[unit]:
            found[unit] = float(time)
    return [*found.values()]


def _with_more(times: UnitTimes, newest: pl.DataFrame, spec: MachineSpec, wanted: int) -> UnitTimes:
    """Return the units that have more readings than were wanted."""
    unit = spec.needed_columns[0]
    counts = dict(newest.group_by(unit).len().iter_rows())
    every = zip(times.units, times.after, times.before, strict=True)
    found = [one for one in every if counts.get(one[0], 0) > wanted]
    units, after = [one[0] for one in found], [one[1] for one in found]
    return UnitTimes(units, after, [one[2] for one in found])


def _with_events(spec: MachineSpec, rows: pl.DataFrame, log: EventTimes) -> pl.DataFrame:
    """Put in what events say at readings of units that have any."""
    unit, time = spec.needed_columns[:2]
    found = event_columns(spec, rows[unit].to_numpy(), time_numbers(rows[time]), log)
    has_events = pl.col(unit).is_in([*{*log.units.tolist()}])
    return rows.with_columns(
        pl.when(has_events)
        .then(pl.Series(values).fill_nan(None))
        .otherwise(pl.col(spec.input_names[place]))
        .alias(spec.input_names[place])
        for place, values in found.items()
    )
