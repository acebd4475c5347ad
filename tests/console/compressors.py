"""Compressors of a plant, for pictures: simulated, but filed, trained on and scored as real ones.

Each has failed once and was repaired. Some of their present lives are near their end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import polars as pl

from presagio import machine
from presagio.fleet import Fleet, load_fleets
from presagio.ingest.filing import Intake
from presagio.ingest.opening import open_intake
from presagio.jobs.demo_fleet import History, train_first
from presagio.jobs.score_arrivals import score_arrivals
from presagio.lifecycle.promotion import open_promoter
from presagio.machine.event_log import EVENTS
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.reader import open_reader
from presagio.settings import Settings
from tests.filing import file_body

NAME = "compressors"
# How much of their present lives is over; a model foresees the last tenth of most.
_AGES = (0.31, 0.12, 0.62, 0.97, 0.45, 0.24, 0.71, 0.9, 0.38)
_LONGEST_LIFE, _SEED = 420, 29
_REPAIR = timedelta(days=2)
# The engines of the demonstration by another name.
_INSTEAD = {
    'name = "demo_engines"': f'name = "{NAME}"',
    '"Demonstration engines"': '"Compressors"', '"Motores de demostración"': '"Compresores"',
    'name = "engine"': 'name = "compressor"', '"Engine"': '"Compressor"', '"Motor"': '"Compresor"',
    '"Engine failure"': '"Compressor failure"', '"Fallo del motor"': '"Fallo del compresor"',
}  # fmt: skip


@dataclass(frozen=True)
class Compressors:
    """A plant's fleet whose units are watched.

    Attributes
    ----------
    spec
        The file of its machine spec.
    worst
        The unit that fails next.
    """

    spec: Path
    fleet: Fleet
    intake: Intake
    worst: str


@contextmanager
def compressors(settings: Settings, folder: Path) -> Iterator[Compressors]:
    """Have a plant's past months filed and scored, by a model of an earlier year."""
    spec = folder / f"{NAME}.toml"
    text = (files(machine) / "specs" / "demo_engines.toml").read_text(encoding="utf-8")
    for old, new in _INSTEAD.items():
        assert old in text
        text = text.replace(old, new)
    spec.write_text(text, encoding="utf-8")
    fleet = load_fleets(settings.model_copy(update={"fleets": (str(spec),)})).get(NAME)
    intake = open_intake(fleet)
    past = History.write(fleet.spec, folder)
    promoter = open_promoter(fleet.settings, fleet.spec)
    train_first(
        promoter, fleet.spec, fleet.settings, past, who="test", progress=lambda _done, _of: None
    )
    promoter.promotions.close()
    _watch(fleet, intake)
    (worst, *_) = intake.ledger.unit_states().page(limit=1)
    yield Compressors(spec, fleet, intake, worst.unit)
    intake.ledger.close()


def _watch(fleet: Fleet, intake: Intake) -> None:
    """File and score readings until each failure, and then what says that it was one."""
    rows, failures = _plant(fleet.spec)
    unit, time, *_ = fleet.spec.needed_columns
    begin = rows[time].min()
    for number, (failed, at) in enumerate([*failures, ("", datetime.now(UTC))]):
        until = rows.filter(pl.col(time) >= begin, pl.col(time) < at)
        _file(fleet, intake, f"readings-{number + 1:02}.csv", until)
        if failed:
            log = pl.DataFrame({unit: [failed], time: [at], "kind": ["failure"]})
            _file(fleet, intake, f"{EVENTS}failure-{number + 1:02}.csv", log)
        begin = at


def _file(fleet: Fleet, intake: Intake, name: str, rows: pl.DataFrame) -> None:
    receipt = file_body(intake, f"{NAME}/{name}", rows.write_csv().encode())
    assert receipt.outcome.verdict == "processed"
    assert not score_arrivals(fleet.settings, intake, open_reader(fleet.settings)).waiting


def _plant(spec: MachineSpec) -> tuple[pl.DataFrame, list[tuple[str, datetime]]]:
    """Return the readings of all units until now, and which of them failed when, in order."""
    unit, time, *_ = spec.needed_columns
    number = len(_AGES)
    made = pl.concat(simulate(spec, 2 * number * _LONGEST_LIFE, seed=_SEED)).drop(spec.label_names)
    made = made.with_columns(pl.col(time).str.to_datetime(time_unit="us", time_zone="UTC"))
    lives = made.partition_by(unit, maintain_order=True)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows, failures = [], []
    for place, age in enumerate(_AGES):
        name, before, now = f"K-{101 + place}", lives[place], lives[number + place]
        step = now[time][1] - now[time][0]
        now = now.head(round(age * len(now)))
        now = now.with_columns(pl.col(time) + (end - timedelta(minutes=7 * place) - now[time][-1]))
        before = before.with_columns(pl.col(time) + (now[time][0] - _REPAIR - before[time][-1]))
        failures.append((name, before[time][-1] + step / 2))
        rows += [part.with_columns(pl.lit(name).alias(unit)) for part in (before, now)]
    return pl.concat(rows).sort(time, unit), sorted(failures, key=lambda each: each[1])
