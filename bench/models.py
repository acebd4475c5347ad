"""Quality beside rivals, the time of the search, the speed of the artifact."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bench.report import table, write
from presagio.inference.predictor import load_predictor
from presagio.machine.spec import MachineSpec, load_spec
from presagio.training.dataset import Dataset, generate_dataset, read_labelled_csv
from presagio.training.evaluation import Bools, Figures, evaluate, mean_intervals
from presagio.training.features import compute_features, feature_sets
from presagio.training.judgement import predict
from presagio.training.search import search
from presagio.training.splitting import Part, make_folds, split_dataset
from presagio.training.train import export_model, train_model

_BULK_ROWS = 200_000
_ONE_ROW_CALLS = 5000
_DESCRIBED_GRID = {"svc__C": [0.01, 0.11, 10.0]}


@dataclass(frozen=True)
class _Way:
    """One way to learn, by what it makes of the rows of a fold."""

    name: str
    judge: Callable[[Part, Part], Figures]


def _oversampled(target: Bools) -> np.ndarray:
    """Return rows of which half are failures, as the described system trains on."""
    rng = np.random.default_rng(0)
    healthy, failures = np.flatnonzero(~target), np.flatnonzero(target)
    return np.concatenate([healthy, rng.choice(failures, len(healthy))])


def _rival(
    spec: MachineSpec, name: str, estimator: BaseEstimator, features: str, *, oversample: bool
) -> _Way:
    (chosen,) = (found for found in feature_sets(spec) if found.name == features)

    def judge(train: Part, test: Part) -> Figures:
        rows = _oversampled(train.target) if oversample else np.arange(len(train))
        inputs = compute_features(spec, train.inputs, chosen.columns)
        estimator.fit(inputs[rows], train.target[rows])
        seen = compute_features(spec, test.inputs, chosen.columns)
        if hasattr(estimator, "predict_proba"):
            probability = estimator.predict_proba(seen)[:, 1]
        else:
            probability = 1.0 / (1.0 + np.exp(-estimator.decision_function(seen)))
        return evaluate(test.target, probability, probability, probability >= 0.5)

    return _Way(name, judge)


def _ours(spec: MachineSpec) -> _Way:
    def judge(train: Part, test: Part) -> Figures:
        said = predict(search(spec, train).alarm, test)
        return evaluate(test.target, said.score, said.probability, said.label)

    return _Way("Presagio: search, threshold and calibration anew in each fold", judge)


def _quality(spec: MachineSpec, dataset: Dataset) -> list[tuple[object, ...]]:
    forest = RandomForestClassifier(500, random_state=0, n_jobs=-1)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    svm = make_pipeline(StandardScaler(), SVC(kernel="linear", C=10.0))
    ways = [
        _ours(spec),
        _rival(spec, "random forest, derived features", forest, "derived", oversample=False),
        _rival(spec, "random forest, distances to limits", forest, "limits", oversample=False),
        _rival(spec, "logistic regression, derived features", logistic, "derived",
               oversample=False),
        _rival(spec, "the described SVM: linear, C = 10, rows oversampled", svm, "raw",
               oversample=True),
        _rival(spec, "never to warn", DummyClassifier(), "raw", oversample=False),
    ]  # fmt: skip
    part = Part(dataset.inputs, dataset.labels, dataset.target, None)
    folds = make_folds(part, None, seed=7)
    rows: list[tuple[object, ...]] = []
    for way in ways:
        found = [way.judge(part.take(train), part.take(test)) for train, test in folds]
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


def _search_seconds(spec: MachineSpec, dataset: Dataset) -> tuple[float, float]:
    """Return the time of our search on the training part, and of the described grid."""
    train = split_dataset(dataset).train
    began = time.perf_counter()
    search(spec, train)
    ours = time.perf_counter() - began
    rows = _oversampled(dataset.target)
    inputs = dataset.inputs.to_numpy(dtype=np.float64)
    described = GridSearchCV(
        make_pipeline(StandardScaler(), SVC(kernel="linear")), _DESCRIBED_GRID, cv=5
    )
    began = time.perf_counter()
    described.fit(inputs[rows], dataset.target[rows])
    return ours, time.perf_counter() - began


def _artifact_speed(spec: MachineSpec, dataset: Dataset) -> tuple[float, float, int]:
    """Return rows a second in bulk, microseconds of one row, and support vectors."""
    model = train_model(dataset, spec)
    with tempfile.TemporaryDirectory() as folder:
        export_model(model, Path(folder))
        predictor = load_predictor(Path(folder))
    inputs = generate_dataset(spec, _BULK_ROWS).inputs.to_numpy(dtype=np.float64)
    bulk = []
    for _ in range(5):
        began = time.perf_counter()
        predictor.predict(inputs)
        bulk.append(time.perf_counter() - began)
    began = time.perf_counter()
    for i in range(_ONE_ROW_CALLS):
        predictor.predict(inputs[i : i + 1])
    one = (time.perf_counter() - began) / _ONE_ROW_CALLS
    return _BULK_ROWS / statistics.median(bulk), one * 1e6, model.result.alarm.support_vectors


def run() -> None:
    """Measure on the real rows, and write the tables."""
    spec = load_spec()
    dataset = read_labelled_csv(Path(os.environ["PRESAGIO_AI4I_CSV"]), spec)
    header = (
        f"5 stratified folds of {len(dataset.target):,} real rows", "precision", "recall",
        "F1, mean ± sd", "MCC", "average precision",
    )  # fmt: skip
    quality = table(header, _quality(spec, dataset))
    ours, described = _search_seconds(spec, dataset)
    bulk, one, vectors = _artifact_speed(spec, dataset)
    speed = table(
        ("what", "measured", "bar"),
        [
            ("the whole default search, 6,400 rows", f"{ours:.1f} s", ""),
            ("the described grid, stock scikit-learn, oversampled rows", f"{described:.1f} s", ""),
            ("our share of its time", f"{ours / described:.2f}", "0.5"),
            (f"the artifact, {vectors} support vectors, one core: bulk", f"{bulk:,.0f} rows/s",
             "1,500,000 rows/s"),
            ("one row", f"{one:.1f} µs", "15 µs"),
        ],
    )  # fmt: skip
    write("models", f"{quality}\n\n{speed}")
