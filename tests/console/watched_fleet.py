"""A fleet of engines on the console: its readings were scored, and one of them has an alarm."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import polars as pl

from presagio.fleet import load_fleets
from presagio.ingest.opening import open_intake
from presagio.settings import Settings
from tests.engines import ENGINES, engine_rows
from tests.watched import Watched, opened_engine

DIAGNOSIS = {
    "mode": None, "clearing_change": None, "limits": [],
    "contributions": {"sensor_2": 0.31},
    "changes": [
        {"feature": "sensor_2", "by": -3.5, "unit": "K", "over": 30.0, "over_unit": "cycle"}
    ],
}  # fmt: skip


@dataclass(frozen=True)
class EngineFleet:
    """A fleet that the console serves.

    Attributes
    ----------
    name
        No other fleet of the tests has it.
    spec
        The file of its machine spec.
    """

    name: str
    spec: Path
    watched: Watched


@contextlib.contextmanager
def engine_fleet(
    settings: Settings, folder: Path, *, unit: str = "1", title: str = ""
) -> Iterator[EngineFleet]:
    """Make a fleet, with two engines of which some readings are filed and scored.

    ``unit`` is what the first one is called, ``title`` is of its first sensor, which people see
    in °C.
    """
    name = f"engines_{uuid4().hex[:8]}"
    path = folder / f"{name}.toml"
    text = ENGINES.read_text(encoding="utf-8").replace('name = "engines"', f'name = "{name}"', 1)
    known = '{ en = "sensor_2", es = "Sensor 2" }'
    assert known in text
    shown = f'{json.dumps(title) if title else known}\nunit = "K"\ndisplay_unit = "°C"'
    path.write_text(text.replace(known, shown, 1), encoding="utf-8")
    fleet = load_fleets(settings.model_copy(update={"fleets": (str(path),)})).get(name)
    intake = open_intake(fleet)
    with opened_engine(settings) as engine:
        watched = Watched(intake, engine)
        # The same bytes again would be a duplicate.
        rows = engine_rows(2, seed=int(name[-8:], 16)).filter(pl.col("cycle") < 60)
        rows = rows.with_columns(pl.col("unit").replace("1", unit))
        receipt = watched.file("readings.csv", rows)
        scores = rows.select("unit", pl.col("cycle").cast(pl.Float64)).with_columns(
            probability=pl.col("cycle") / 100, label=pl.col("cycle") >= 50, score=pl.lit(0.0),
            remaining_life=125.0 - pl.col("cycle"), remaining_low=100.0 - pl.col("cycle"),
            remaining_high=pl.lit(None, pl.Float64),
        )  # fmt: skip
        watched.score(receipt, scores)
        yield EngineFleet(name, path, watched)
    intake.ledger.close()
