"""Many small models: fleets trained by one worker and by two, each with its share of the cores."""

import tempfile
import time
from functools import partial
from pathlib import Path

from bench.report import table, write
from bench.sizes import Size
from presagio.machine.spec import load_spec
from presagio.scoring.engine import LocalEngine, cores
from presagio.settings import Settings
from presagio.training.datasets.sources import generate_dataset
from presagio.training.export.parity import export_model
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import train_model

_ROWS = 2000


def train_one(rows: int, settings: Settings, seed: int) -> str:
    """Train and export one small fleet's model, as `presagio train --fleets` does for each."""
    spec = load_spec()
    model = train_model(generate_dataset(spec, rows, seed=seed), spec, grid=SMALL_GRID)
    with tempfile.TemporaryDirectory(dir=settings.home) as folder:
        return export_model(model, Path(folder))


def _lost(seed: int, why: str) -> str:
    raise RuntimeError(f"fleet {seed}: {why}")


def _seconds(workers: int, fleets: int, folder: Path) -> float:
    engine, began = LocalEngine(Settings(home=folder), workers), time.monotonic()
    digests = [*engine.run(partial(train_one, _ROWS), range(fleets), _lost)]
    assert len(digests) == fleets
    return time.monotonic() - began


def run(size: Size) -> None:
    """Measure both, and write the table."""
    fleets = size.pick(100, 12, 2)
    with tempfile.TemporaryDirectory() as scratch:
        found = []
        for workers in (1, 2):
            found.append(_seconds(workers, fleets, Path(scratch)))
            print(workers, found[-1], flush=True)
    many = table(
        (f"{fleets} fleets of {_ROWS:,} rows", "threads in each", "seconds", "of one worker's"),
        [
            (f"{n} worker{'s' * (n > 1)}", str(max(1, cores() // n)), f"{seconds:.1f}",
             f"{seconds / found[0]:.0%}")
            for n, seconds in zip((1, 2), found, strict=True)
        ],
    )  # fmt: skip
    note = "The start of the workers is part of it. Each trains with the small grid and exports."
    write("many_models", f"{note}\n\n{many}", size, after="scoring")
