"""Cleaning a million rows, every check on, against the described DAG's pandas."""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl

from bench.report import table, write
from bench.sizes import Size
from presagio.ingest.checking import FileRows
from presagio.ingest.outputs import OutputWriter
from presagio.machine.simulation import simulate
from presagio.machine.spec import load_spec

_BAD_EVERY = 100
_BAD = ("", "n/a", "1_0", "nan", "9999999")


def make_file(path: Path, rows: int) -> None:
    """Write generated rows, of which one in a hundred has a bad cell."""
    with path.open("w", encoding="utf-8") as file:
        made = 0
        for block in simulate(load_spec(), rows, seed=1):
            lines = block.write_csv(include_header=made == 0).splitlines()
            for i in range(_BAD_EVERY - 1, len(lines), _BAD_EVERY):
                cells = lines[i].split(",")
                cells[i // _BAD_EVERY % 5] = _BAD[i // _BAD_EVERY % len(_BAD)]
                lines[i] = ",".join(cells)
            file.write("\n".join(lines) + "\n")
            made += len(block)


def _described(path: Path, folder: Path) -> None:
    with warnings.catch_warnings():
        # It says that columns have mixed types, as they have.
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        frame = pd.read_csv(path)
    frame.dropna().to_csv(folder / "clean.csv", index=False)


def _ours(path: Path, folder: Path) -> None:
    """Read, check, and write clean rows as CSV and Parquet and rejected rows."""
    spec = load_spec()
    writer = OutputWriter(folder, 1, spec)
    with path.open("rb") as file:
        rows = FileRows(file, ".csv", spec)
        for chunk in rows:
            writer.add(chunk)
    writer.finish()
    assert rows.tally.rejected == rows.tally.rows // _BAD_EVERY > 0


def _ours_csv_only(path: Path, folder: Path) -> None:
    """Read, check, and write clean rows as CSV: the described DAG's outputs and no other."""
    with path.open("rb") as file, (folder / "clean.csv").open("wb") as clean:
        for number, chunk in enumerate(FileRows(file, ".csv", load_spec())):
            chunk.accepted.write_csv(clean, include_header=number == 0, batch_size=8192)


def _polars_without_checks(path: Path, folder: Path) -> None:
    pl.scan_csv(path, ignore_errors=True).drop_nulls().sink_csv(folder / "clean.csv")


def _seconds(way: Callable[[Path, Path], None], path: Path, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            way(path, Path(folder))
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def run(size: Size) -> None:
    """Measure, and write the table."""
    number, repeats = size.pick(1_000_000, 1_000_000, 20_000), size.pick(5, 5, 1)
    ways: dict[str, Callable[[Path, Path], None]] = {
        "the described DAG: pandas read_csv, dropna, to_csv": _described,
        "Presagio, every check on, clean rows as CSV": _ours_csv_only,
        "Presagio, every check on, clean rows as CSV and Parquet, rejected rows with faults": _ours,
        "limit: Polars, no check but for nulls, CSV": _polars_without_checks,
    }
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        path = Path(folder) / "million.csv"
        make_file(path, number)
        length = path.stat().st_size
        seconds = {name: _seconds(way, path, repeats) for name, way in ways.items()}
    slowest = seconds[next(iter(ways))]
    rows: list[tuple[object, ...]] = [
        (
            name,
            f"{s:.2f} s",
            f"{number / s:,.0f}",
            f"{length / s / 1e6:.0f}",
            f"{slowest / s:.1f}",
        )
        for name, s in seconds.items()
    ]
    header = (
        f"way, {number:,} rows of 12 columns, 1 % bad, {length / 1e6:.0f} MB, median of {repeats}",
        "time", "rows/s", "MB/s", "times the described DAG",
    )  # fmt: skip
    write("cleaning", table(header, rows), size)
