"""Readings of units that wear out: for any machine whose spec has units and times.

Each unit lives until it fails, at its last reading. Its sensors leave what is typical as its
wear grows, slowly first and faster later, each in a direction of the sensor's own; units differ
a little, and readings are noisy. Nothing of it is measured on a real machine: it shows that a spec
works, and how fast.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.machine.inputs import Feature
from presagio.machine.learning import MICROSECONDS
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]

_BLOCK_ROWS = 10_000
# Readings of a life: at least so many, and a Weibull distribution of shape 3 beyond.
_SHORTEST, _SCALE, _SHAPE = 100, 120.0, 3.0
# In standard deviations of the noise: what units differ by, and how far wear moves a sensor.
_UNIT, _WORN = 0.5, 5.0
# Steps of timestamps: so many to a horizon, or one an hour.
_STEPS_A_HORIZON = 30
_HOUR_S = 3600.0
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def simulate_lives(spec: MachineSpec, rows: int, *, seed: int = 0) -> Iterator[pl.DataFrame]:
    """Generate readings of units that run until they fail, one after the other.

    Parameters
    ----------
    spec
        A machine spec with ``[unit]`` and ``[time]``.
    rows
        How many rows to generate in all; the last unit may not have failed yet.
    seed
        Seed of the random numbers.

    Yields
    ------
    polars.DataFrame
        Blocks of whole units with the spec's columns, times as a file has them.
    """
    units, waiting, made, number = list[pl.DataFrame](), 0, 0, 0
    while made < rows:
        number += 1
        unit = _life(spec, number, np.random.default_rng((seed, number))).head(rows - made)
        units.append(unit)
        made, waiting = made + len(unit), waiting + len(unit)
        if waiting >= _BLOCK_ROWS or made >= rows:
            yield pl.concat(units)
            units, waiting = [], 0


def _life(spec: MachineSpec, number: int, rng: np.random.Generator) -> pl.DataFrame:
    readings = _SHORTEST + int(_SCALE * rng.weibull(_SHAPE))
    wear = np.linspace(0.0, 1.0, readings) ** rng.uniform(3.0, 6.0)
    columns: dict[str, object] = {}
    for column in spec.kept_columns:
        columns[column.name] = [f"U{number:06d}"] * readings
    if spec.members is not None:
        columns[spec.members.name] = [spec.members.values[0]] * readings
    if spec.time is not None:
        columns[spec.time.name] = _times(spec, readings)
    for place, feature in enumerate(spec.features):
        columns[feature.name] = _values(feature, place, wear, rng)
    for category in spec.categories:
        kind = rng.choice(category.values)
        for value, indicator in category.indicators.items():
            columns[indicator] = [value == kind] * readings
    for label in spec.label_names:
        columns[label] = np.arange(readings) == readings - 1
    return pl.DataFrame(columns)


def _values(feature: Feature, place: int, wear: Floats, rng: np.random.Generator) -> Floats:
    low, high = feature.bounds
    spread = (high - low) / 20 if feature.range else max(abs(feature.typical), 1.0) / 50
    # By its place, so that a feature moves alike in all units: some up, some down, some hardly.
    towards = np.cos(2.4 * place)
    noise = rng.normal(size=len(wear))
    moved = _UNIT * rng.normal() + noise + _WORN * towards * wear
    values: Floats = np.clip(feature.typical + spread * moved, low, high).round(4)
    return values


def _times(spec: MachineSpec, readings: int) -> list[float] | list[str]:
    if spec.time is None or spec.time.is_counter:
        return [float(count) for count in range(1, readings + 1)]
    horizon = spec.label.horizon
    step = _HOUR_S if horizon is None else horizon / MICROSECONDS / _STEPS_A_HORIZON
    times = (_BEGIN + timedelta(seconds=round(step * i)) for i in range(readings))
    return [time.isoformat() for time in times]
