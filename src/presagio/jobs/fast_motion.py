"""Engines that age in fast motion: what the demonstration files, from generated lives.

The plant has a history: engines that have run until they failed. Some others are at work, and send
a file a day. One of them fails on the last day; it is none of those that a model has learned from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from presagio.machine.learning import KIND
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec

# Longer than a life that the generator makes.
_LONGEST_LIFE = 420
_HISTORY_SEED, _FLEET_SEED = 11, 3
# Where in its life an engine is on the last day; the first one is at its end.
AGES = (1.0, 0.35, 0.5, 0.25)
_LETTERS = "ABCD"
# Of the history; so that the same engines make the same files whenever they are made.
_HISTORY_SHIFT = timedelta(days=-365)


@dataclass(frozen=True)
class Day:
    """What arrives on one day: its date, and the readings of all engines at work."""

    date: date
    readings: pl.DataFrame


@dataclass(frozen=True)
class FastMotion:
    """Engines at work, day by day until one fails.

    Attributes
    ----------
    units
        Their names; the first one fails.
    before
        Their readings until the first day.
    days
        The days that are shown.
    failed_at
        When the first one fails: after its last reading.
    """

    units: tuple[str, ...]
    before: pl.DataFrame
    days: tuple[Day, ...]
    failed_at: datetime

    @property
    def failing(self) -> str:
        """The engine that fails."""
        return self.units[0]


def _lives(spec: MachineSpec, number: int, seed: int) -> Iterator[pl.DataFrame]:
    """Generate whole lives, times as moments."""
    unit, time, *_ = spec.needed_columns
    rows = pl.concat(simulate(spec, number * _LONGEST_LIFE, seed=seed))
    rows = rows.with_columns(pl.col(time).str.to_datetime(time_unit="us", time_zone="UTC"))
    yield from rows.drop(spec.label_names).partition_by(unit, maintain_order=True)[:number]


def _failure_log(spec: MachineSpec, units: list[str], times: list[datetime]) -> pl.DataFrame:
    unit, time, *_ = spec.needed_columns
    return pl.DataFrame({unit: units, time: times, KIND: ["failure"] * len(units)})


def _step(life: pl.DataFrame, time: str) -> timedelta:
    step: timedelta = life[time][1] - life[time][0]
    return step


def history(spec: MachineSpec, units: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what a plant has of engines that have failed: their readings, and a log of failures.

    Parameters
    ----------
    spec
        A machine spec with units and timestamps.
    units
        How many engines. The same number gives the same rows.
    """
    name, time, *_ = spec.needed_columns
    lives = [
        life.with_columns(pl.col(time) + _HISTORY_SHIFT)
        for life in _lives(spec, units, _HISTORY_SEED)
    ]
    ends = [life[time][-1] + _step(life, time) / 2 for life in lives]
    return pl.concat(lives), _failure_log(spec, [life[name][0] for life in lives], ends)


def fast_motion(spec: MachineSpec, run: str, today: date, days: int) -> FastMotion:
    """Return engines at work, of which one fails yesterday.

    Parameters
    ----------
    spec
        A machine spec with units and timestamps.
    run
        Which demonstration it is: a part of the engines' names, so that each has engines of its
        own.
    today
        The day after the last one.
    days
        How many days are shown.
    """
    name, time, *_ = spec.needed_columns
    end = datetime(today.year, today.month, today.day, tzinfo=UTC)
    at_work, units = [], []
    for place, life in enumerate(_lives(spec, len(AGES), _FLEET_SEED)):
        units.append(f"{run}-{_LETTERS[place]}")
        seen = life.head(round(AGES[place] * len(life)))
        shift = end - _step(life, time) - seen[time][-1]
        at_work.append(seen.with_columns(pl.lit(units[-1]).alias(name), pl.col(time) + shift))
    rows = pl.concat(at_work).sort(time, name)
    begin = end - timedelta(days=days)
    shown = rows.filter(pl.col(time) >= begin)
    each = shown.group_by(pl.col(time).dt.date(), maintain_order=True)
    return FastMotion(
        tuple(units),
        rows.filter(pl.col(time) < begin),
        tuple(Day(found[time][0].date(), found) for _, found in each),
        end - _step(at_work[0], time) / 2,
    )


def failure_of(spec: MachineSpec, motion: FastMotion) -> pl.DataFrame:
    """Return the log that says that the first engine has failed."""
    return _failure_log(spec, [motion.failing], [motion.failed_at])
