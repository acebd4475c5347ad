"""Series of readings: ``motors.toml``, with typed times, units, and rows of other fleets."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from presagio.machine.spec import MachineSpec, load_spec

MOTORS = Path(__file__).with_name("motors.toml")


def motors() -> MachineSpec:
    return load_spec(MOTORS)


def motor_rows(units: int, readings: int, *, seed: int = 0) -> pl.DataFrame:
    """Return readings by hours, unit by unit, under the spec's names; a third of them has gaps."""
    rng, rows = np.random.default_rng(seed), units * readings
    age = np.tile(np.arange(readings), units)
    current, vibration = rng.uniform(20, 60, rows), rng.normal(3, 0.5, rows) + 0.05 * age
    failed = (vibration > 3.5 + 0.03 * readings) & (rng.random(rows) < 0.9)
    first = datetime(2026, 1, 1)  # noqa: DTZ001 - of the plant's zone
    gap = rng.random((3, rows)) < 0.3

    def with_gaps(values: object, which: int) -> list[float | None]:
        numbers = np.round(np.asarray(values), 3).tolist()
        return [None if lost else n for n, lost in zip(numbers, gap[which], strict=True)]

    return pl.DataFrame(
        {
            "motor": [f"M{i // readings:02d}" for i in range(rows)],
            "taken_at": [first + timedelta(hours=int(hour)) for hour in age],
            "shop": ["press"] * rows,
            "current_a": with_gaps(current, 0),
            "vibration": with_gaps(vibration, 1),
            "humidity": with_gaps(rng.uniform(30, 70, rows), 2),
            "load": np.round(rng.uniform(0, 1, rows), 3),
            "failed": failed,
        }
    )


def motor_csv(rows: pl.DataFrame) -> bytes:
    """Write readings as a plant does: local times to the minute."""
    return rows.write_csv(datetime_format="%Y-%m-%d %H:%M").encode()
