"""A unit's readings as what the inference API is asked with."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from presagio.machine.spec import MachineSpec
from presagio.readings.instants import written_time


def unit_request(
    spec: MachineSpec, unit: str, rows: pl.DataFrame,
    changed: Mapping[str, float | bool] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return readings of a unit as the body of ``POST /predict``.

    Parameters
    ----------
    spec
        The machine spec, with unit and time.
    unit
        The unit's name.
    rows
        Its readings in order of time, such as :func:`.life_so_far` returns.
    changed
        Inputs of the newest reading that are to have other values.
    """
    time = spec.needed_columns[1]
    readings: list[dict[str, Any]] = [
        {
            "time": written_time(row[time]),
            "features": {name: row[name] for name in spec.input_names if row[name] is not None},
        }
        for row in rows.iter_rows(named=True)
    ]
    if readings and changed:
        readings[-1]["features"] |= changed
    return {"unit": unit, "readings": readings}
