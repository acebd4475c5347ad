"""Bulk scoring: rows a second a core and memory, beside Polars streaming and pyarrow alone."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from bench.report import table, write
from bench.scoring_ways import WAYS
from bench.sizes import Size
from presagio.inference.predictor import fallback_folder, open_predictor
from presagio.jobs.score import Planned, score
from presagio.machine.headers import HeaderLimits
from presagio.machine.simulation import simulate
from presagio.machine.spec import load_spec
from presagio.scoring.cluster import opened_cluster
from presagio.scoring.engine import Engine, LocalEngine, worker_variables
from presagio.scoring.finding import find_files
from presagio.scoring.one_file import FileLimits
from presagio.scoring.places import open_place
from presagio.scoring.run import RESULT, ModelFiles, ScoringRun
from presagio.settings import Settings

_ROW_GROUP = 122_880


def _measured(way: str, path: Path, folder: Path) -> tuple[float, float]:
    """Return processor seconds of a way, and its peak memory, in a process of its own."""
    code = (
        "from pathlib import Path\nfrom bench.scoring_ways import timed\n"
        f"timed({way!r}, Path({str(path)!r}), Path({str(folder / 'out.parquet')!r}))\n"
    )
    env = os.environ | worker_variables(1)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"], found["mib"]


def _planned(source: Path, to: Path, settings: Settings) -> Planned:
    to.mkdir(exist_ok=True)
    spec, predictor = load_spec(), open_predictor(fallback_folder())
    address, files, others = find_files(str(source), open_place(str(to), settings), settings)
    run = ScoringRun(
        address, str(to), json.dumps(spec.model_dump(mode="json")),
        ModelFiles.of(predictor, "svm", "1"), FileLimits(HeaderLimits(4096, 512), 1 << 40),
    )  # fmt: skip
    return Planned(run, tuple(files), others, in_order=False)


def _engines(folder: Path, rows: int, files: int) -> list[tuple[str, float]]:
    """Return rows a second of two workers, once they have started."""
    settings, found = Settings(home=folder / "home"), []

    def measured(name: str, engine: Engine) -> None:
        planned = _planned(folder / "in", folder / name, settings)
        score(planned, engine, settings)
        began = time.monotonic()
        summary = score(planned, engine, settings)
        assert summary.counts.rows == rows * files
        found.append((name, rows * files / (time.monotonic() - began)))
        assert len([*(folder / name).glob(f"*{RESULT}")]) == files
        print(found[-1], flush=True)

    measured("two processes, their start included", LocalEngine(settings, 2))
    with opened_cluster(settings, None, 2) as cluster:
        measured("Ray, two workers", cluster)
    return found


def run(size: Size) -> None:
    """Measure each way, and write the table."""
    rows, files = size.pick((5_000_000, 8), (1_000_000, 4), (50_000, 2))
    repeats, spec = size.pick(5, 3, 1), load_spec()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "in").mkdir()
        frame = pl.concat(simulate(spec, rows, seed=9)).select(spec.input_names)
        frame = frame.with_columns(pl.int_range(pl.len()).alias("udi"))
        path = folder / "in" / "0.parquet"
        frame.write_parquet(path, row_group_size=_ROW_GROUP)
        for i in range(1, files):
            os.link(path, path.with_name(f"{i}.parquet"))
        ways: list[tuple[object, ...]] = []
        for way in WAYS:
            tries = [_measured(way, path, folder) for _ in range(repeats)]
            seconds = min(seconds for seconds, _ in tries)
            ways.append((way, f"{rows / seconds:,.0f}", f"{max(mib for _, mib in tries):.0f}"))
            print(ways[-1], flush=True)
        engines = _engines(folder, rows, files)
    alone = table((f"{rows:,} rows in Parquet", "rows/s a core", "peak MiB"), ways)
    many = table(
        (f"{files} files of {rows:,} rows", "rows/s"),
        [(name, f"{found:,.0f}") for name, found in engines],
    )
    note = (
        f"Rows a second of processor time, best of {repeats}, imports left out; peak memory of the "
        "process. The others check no row, and write neither the alarm nor its mode."
    )
    write("scoring", f"{note}\n\n{alone}\n\n{many}", size, after="files")
