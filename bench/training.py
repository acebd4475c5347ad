"""Training time and quality against rows, exact and streamed, from 8,000 to a million."""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from bench.report import table, write
from bench.sizes import Size
from presagio.machine.spec import load_spec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.detectors.plans import Method
from presagio.training.search.grids import GRIDS, GridName
from presagio.training.train import EXACT_ROWS, train_model

_PICTURE = Path(__file__).parents[1] / "docs" / "images" / "training_time.png"
# Rows in all, of which four fifths are trained on.
_Runs = tuple[tuple[int, Method], ...]
_QUICK: _Runs = (
    (8_000, "exact"),
    (20_000, "exact"),
    (100_000, "streamed"),
    (1_000_000, "streamed"),
)
_FULL: _Runs = (
    (8_000, "exact"), (20_000, "exact"), (50_000, "exact"), (100_000, "exact"),
    (20_000, "streamed"), (50_000, "streamed"), (100_000, "streamed"), (200_000, "streamed"),
    (500_000, "streamed"), (1_000_000, "streamed"),
)  # fmt: skip


@dataclass(frozen=True)
class _Run:
    """One training: everything, from the split to the evaluation."""

    rows: int
    method: Method
    seconds: float
    f1: float
    average_precision: float
    mebibytes: int


def _measure(rows: int, method: Method, grid: GridName) -> _Run:
    """Train in this process."""
    spec = load_spec()
    dataset = generate_dataset(spec, rows, seed=1)
    began = time.perf_counter()
    model = train_model(dataset, spec, method=method, grid=GRIDS[grid])
    seconds, test = time.perf_counter() - began, model.evaluation.test
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _Run(rows, method, seconds, test.f1, test.average_precision, peak >> 10)


def _measure_apart(rows: int, method: Method, grid: GridName) -> _Run:
    """Train in a process of its own, so that its peak of memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.training", str(rows), method, grid],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return _Run(**json.loads(done.stdout.splitlines()[-1]))


def _draw(runs: list[_Run]) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for method, marker in (("exact", "o-"), ("streamed", "s-")):
        chosen = [run for run in runs if run.method == method]
        axes.plot(
            [run.rows for run in chosen], [run.seconds for run in chosen], marker, label=method
        )
    axes.axvline(EXACT_ROWS / 0.8, color="grey", linestyle=":", label="switched by itself here")
    axes.set(xscale="log", yscale="log", xlabel="Rows", ylabel="Seconds, search to evaluation")
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend()
    _PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(_PICTURE, dpi=110)


def run(size: Size) -> None:
    """Measure, draw the picture, write the table."""
    smoke: _Runs = ((1_000, "exact"),)
    grid: GridName = size.pick("full", "full", "small")
    chosen = size.pick(_FULL, _QUICK, smoke)
    runs = [_measure_apart(rows, method, grid) for rows, method in chosen]
    if size is Size.FULL:
        _draw(runs)
    rows: list[tuple[object, ...]] = [
        (f"{run.rows:,}", run.method, f"{run.seconds:.1f} s", f"{run.f1:.4f}",
         f"{run.average_precision:.4f}", f"{run.mebibytes:,} MiB")
        for run in runs
    ]  # fmt: skip
    header = ("generated rows", "method", "everything", "F1, held out", "average precision", "peak")
    write("training", table(header, rows), size)


if __name__ == "__main__":
    print(json.dumps(vars(_measure(int(sys.argv[1]), *sys.argv[2:]))))  # type: ignore[arg-type]
