"""A file of 170 columns with gaps, from the check of its rows to a model that answers.

Beside it the same rows through Polars' reader of CSV alone, and LightGBM on the same parts.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score

from bench.report import table, write
from bench.sizes import Size
from presagio.inference.diagnosis import explain
from presagio.inference.predictor import load_predictor
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.training.datasets.sources import read_labelled_csv
from presagio.training.export.parity import export_model
from presagio.training.search.grids import GRIDS
from presagio.training.train import TrainedModel, train_model

T = TypeVar("T")
_COLUMNS, _COUNTERS, _GAPS, _FAILURES = 170, 40, 0.08, 0.03


def _spec() -> MachineSpec:
    lines = ['name = "wide"', 'title = "Wide"', 'missing = "median"', 'missing_values = ["na"]']
    for i in range(_COLUMNS):
        lines += ["[[features]]", f'name = "s{i}"', *(["log = true"] if i < _COUNTERS else [])]
    lines += ["[target]", 'name = "failed"', 'true_words = ["pos"]', 'false_words = ["neg"]']
    return parse_spec("\n".join(lines).encode(), "wide")


def _write_csv(path: Path, rows: int) -> None:
    """Write readings of which a few columns tell the failure, two of them by their product."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, _COLUMNS))
    values[:, :_COUNTERS] = np.exp(2 * values[:, :_COUNTERS])
    risk = values[:, 50] + values[:, 51] + 0.5 * values[:, 52] * values[:, 53]
    risk += 0.3 * np.log(values[:, 0]) + 0.3 * rng.normal(size=rows)
    failed = risk > np.quantile(risk, 1 - _FAILURES)
    gaps = rng.random(values.shape) < _GAPS
    columns = {
        f"s{i}": pl.Series(values[:, i]).round(4).cast(pl.String).set(pl.Series(gaps[:, i]), "na")
        for i in range(_COLUMNS)
    }
    pl.DataFrame(columns | {"failed": np.where(failed, "pos", "neg")}).write_csv(path)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def _boosted(model: TrainedModel) -> float:
    from lightgbm import LGBMClassifier  # noqa: PLC0415 - an extra

    train, test = model.split.train, model.split.test
    boosting = LGBMClassifier(n_estimators=300, learning_rate=0.05, num_leaves=15, verbose=-1)
    boosting.fit(train.inputs, train.target)
    probability = np.asarray(boosting.predict_proba(test.inputs))[:, 1]
    return float(average_precision_score(test.target, probability))


def run(size: Size) -> None:
    """Measure, and write the table."""
    rows, spec = size.pick(60_000, 60_000, 1_500), _spec()
    with tempfile.TemporaryDirectory() as folder:
        path, artifact = Path(folder) / "wide.csv", Path(folder) / "artifact"
        _write_csv(path, rows)
        _, reading = _timed(lambda: pl.read_csv(path, null_values=["na"]))
        dataset, checking = _timed(lambda: read_labelled_csv(path, spec))
        grid = GRIDS[size.pick("full", "full", "small")]
        model, training = _timed(lambda: train_model(dataset, spec, grid=grid))
        predictor = load_predictor(artifact, digest=export_model(model, artifact))
    boosted, fitting = _timed(lambda: _boosted(model))
    row = dataset.inputs[0]
    predictor.predict_one(row.tolist())
    _, one = _timed(lambda: [predictor.predict_one(row.tolist()) for _ in range(200)])
    found, explaining = _timed(lambda: explain(predictor, row, alarm=True))
    errors = found.attribution.errors.values() if found.attribution else ()
    ours = model.evaluation.test.average_precision
    lines: list[tuple[object, ...]] = [
        ("rows checked", f"{checking:.1f} s", f"{reading:.1f} s, read by Polars and not checked"),
        (f"training, {model.result.method}", f"{training:.0f} s", f"{fitting:.0f} s, LightGBM"),
        ("average precision, held out", f"{ours:.3f}", f"{boosted:.3f}, LightGBM"),
        ("one row", f"{one / 200 * 1e6:.0f} µs", ""),
        ("an explanation", f"{explaining * 1e3:.0f} ms", ""),
        ("largest standard error in it", f"{max(errors, default=0.0):.3f}", ""),
    ]
    shape = f"{rows:,} rows of {_COLUMNS} columns"
    write("wide", table((f"{shape}, {_GAPS:.0%} missing", "ours", "beside it"), lines), size,
          after="training")  # fmt: skip
