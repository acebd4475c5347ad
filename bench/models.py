"""Quality beside baselines, the time of the search, the speed of the artifact."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bench.report import table, write
from bench.sizes import Size
from presagio.inference.predictor import load_predictor
from presagio.machine.spec import MachineSpec, load_spec
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.sources import generate_dataset, read_labelled_csv
from presagio.training.datasets.splitting import Part, make_folds, split_dataset
from presagio.training.evaluation.baselines import Baseline, baselines
from presagio.training.evaluation.evaluation import predict
from presagio.training.evaluation.metrics import Bools, Metrics, evaluate, mean_intervals
from presagio.training.export.parity import export_model
from presagio.training.search.grids import GRIDS, Grid
from presagio.training.search.search import search
from presagio.training.train import TrainedModel, train_model

_BULK_ROWS = 200_000
_ONE_ROW_CALLS = 5000
_REFERENCE_GRID = {"svc__C": [0.01, 0.11, 10.0]}


@dataclass(frozen=True)
class _Way:
    """One way to learn, by what it makes of the rows of a fold."""

    name: str
    evaluate: Callable[[Part, Part], Metrics]


def _oversampled(target: Bools) -> np.ndarray:
    """Return rows of which half are failures, as the described system trains on."""
    rng = np.random.default_rng(0)
    healthy, failures = np.flatnonzero(~target), np.flatnonzero(target)
    return np.concatenate([healthy, rng.choice(failures, len(healthy))])


def _baseline(spec: MachineSpec, baseline: Baseline) -> _Way:
    return _Way(baseline.name, lambda train, test: baseline.evaluate(spec, train, test))


def _reference() -> _Way:
    svm = make_pipeline(StandardScaler(), SVC(kernel="linear", C=10.0))

    def learn(train: Part, test: Part) -> Metrics:
        rows = _oversampled(train.target)
        svm.fit(train.inputs[rows], train.target[rows])
        score = svm.decision_function(test.inputs)
        return evaluate(test.target, score, 1.0 / (1.0 + np.exp(-score)), score >= 0.0)

    return _Way("reference model: linear SVM, C = 10, rows oversampled", learn)


def _ours(spec: MachineSpec, grid: Grid) -> _Way:
    def learn(train: Part, test: Part) -> Metrics:
        found = predict(search(spec, train, grid=grid).alarm, test)
        return evaluate(test.target, found.score, found.probability, found.label)

    return _Way("Presagio: search, threshold and calibration anew in each fold", learn)


def _quality(
    spec: MachineSpec, dataset: Dataset, grid: Grid, others: Sequence[Baseline]
) -> list[tuple[object, ...]]:
    ways = [_ours(spec, grid), *(_baseline(spec, other) for other in others), _reference()]
    part = Part(dataset.inputs, dataset.labels)
    folds = make_folds(part, None, seed=7)
    rows: list[tuple[object, ...]] = []
    for way in ways:
        found = [way.evaluate(part.take(train), part.take(test)) for train, test in folds]
        means = mean_intervals(found)
        rows.append(
            (
                way.name,
                *(f"{means[name].mean:.3f}" for name in ("precision", "recall")),
                f"{means['f1'].mean:.3f} ± {statistics.stdev(f.f1 for f in found):.3f}",
                f"{means['mcc'].mean:.3f}",
                f"{means['average_precision'].mean:.3f}",
            )
        )
    return rows


def _search_seconds(spec: MachineSpec, dataset: Dataset, grid: Grid) -> tuple[float, float]:
    """Return the time of our search on the training part, and of the reference grid."""
    train = split_dataset(dataset).train
    began = time.perf_counter()
    search(spec, train, grid=grid)
    ours = time.perf_counter() - began
    rows = _oversampled(dataset.target)
    reference = GridSearchCV(
        make_pipeline(StandardScaler(), SVC(kernel="linear")), _REFERENCE_GRID, cv=5
    )
    began = time.perf_counter()
    reference.fit(dataset.inputs[rows], dataset.target[rows])
    return ours, time.perf_counter() - began


@dataclass(frozen=True)
class _Speed:
    """How fast an artifact is: rows a second in bulk, microseconds of one row."""

    bulk: float
    one: float
    vectors: int


def _speed(spec: MachineSpec, model: TrainedModel) -> _Speed:
    with tempfile.TemporaryDirectory() as folder:
        export_model(model, Path(folder))
        predictor = load_predictor(Path(folder))
    inputs = generate_dataset(spec, _BULK_ROWS).inputs
    bulk = []
    for _ in range(5):
        began = time.perf_counter()
        predictor.predict(inputs)
        bulk.append(time.perf_counter() - began)
    began = time.perf_counter()
    for i in range(_ONE_ROW_CALLS):
        predictor.predict(inputs[i : i + 1])
    one = (time.perf_counter() - began) / _ONE_ROW_CALLS
    vectors = model.result.alarm.support_vectors
    return _Speed(_BULK_ROWS / statistics.median(bulk), one * 1e6, vectors)


def _single(spec: MachineSpec, dataset: Dataset) -> TrainedModel:
    """Train a single SVC of some 600 support vectors, as where modes and limits are not known."""
    bare = spec.model_copy(update={"rules": (), "modes": ()})
    only = {spec.target.name: dataset.target}
    grid: list[dict[str, list[Any]]] = [{"kernel": ["rbf"], "C": [10.0], "gamma": [0.2]}]
    return train_model(replace(dataset, labels=only), bare, grid=grid)


def run(size: Size) -> None:
    """Measure on the real rows, and write the tables."""
    spec, grid = load_spec(), GRIDS[size.pick("full", "full", "small")]
    others = baselines(spec)
    if size is Size.SMOKE:
        others = others[-1:]
        dataset = generate_dataset(spec, 1500, seed=5)
    else:
        dataset = read_labelled_csv(Path(os.environ["PRESAGIO_AI4I_CSV"]), spec)
    header = (
        f"5 stratified folds of {len(dataset.target):,} real rows", "precision", "recall",
        "F1, mean ± sd", "MCC", "average precision",
    )  # fmt: skip
    quality = table(header, _quality(spec, dataset, grid, others))
    ours, reference = _search_seconds(spec, dataset, grid)
    per_mode = _speed(spec, train_model(dataset, spec, grid=grid))
    single = _single(spec, dataset)
    alone = _speed(single.spec, single)
    trained = len(dataset.target) * 4 // 5
    speed = table(
        ("what", "measured", "bar"),
        [
            (f"the whole default search, {trained:,} rows", f"{ours:.1f} s", ""),
            ("the reference grid, stock scikit-learn, oversampled rows", f"{reference:.1f} s", ""),
            ("our share of its time", f"{ours / reference:.2f}", "0.2"),
            *(
                row
                for name, speed in (("one detector per mode", per_mode), ("a single SVC", alone))
                for row in (
                    (
                        f"{name}, {speed.vectors} support vectors, one core: bulk",
                        f"{speed.bulk:,.0f} rows/s", "1,500,000 rows/s",
                    ),
                    (f"{name}: one row", f"{speed.one:.1f} µs", "15 µs"),
                )
            ),
        ],
    )  # fmt: skip
    write("models", f"{quality}\n\n{speed}", size)
