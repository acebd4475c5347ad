"""Real drives, a day at a time, failure on the day: five folds by drive, beside other learners.

Every learner is trained on all rows of four fifths of the drives, and scores all rows of the rest:
one row in 6,700 is a failure, so average precisions are small.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold

from bench.report import ROOT, table, write
from bench.sizes import Size
from presagio.inference.predictor import load_predictor
from presagio.ingest.checking import check_file
from presagio.machine.spec import MachineSpec, load_spec
from presagio.scoring.frames import score_frame
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.export.parity import export_model
from presagio.training.search.grids import GRIDS, GridName
from presagio.training.train import train_model

_PARQUET = "TEST_DRIVES_PARQUET"
_FOLDS = 5
Floats = NDArray[np.float64]
# From rows to learn from and rows to score to scores.
Learner = Callable[[pl.DataFrame, pl.DataFrame], Floats]


def _presagio(spec: MachineSpec, grid: GridName) -> Learner:
    def learn(train: pl.DataFrame, test: pl.DataFrame) -> Floats:
        model = train_model(dataset_from_frame(train, spec, "a fold"), spec, grid=GRIDS[grid])
        with tempfile.TemporaryDirectory() as folder:
            predictor = load_predictor(Path(folder), digest=export_model(model, Path(folder)))
            return score_frame(predictor, test)["score"].to_numpy()

    return learn


def _sklearn(spec: MachineSpec, make: Callable[[], Any]) -> Learner:
    def learn(train: pl.DataFrame, test: pl.DataFrame) -> Floats:
        names = list(spec.feature_names)
        fitted = make().fit(train[names].to_numpy(), train[spec.target.name].to_numpy())
        return np.asarray(fitted.predict_proba(test[names].to_numpy()))[:, 1]

    return learn


def _boosting(**options: Any) -> Callable[[], Any]:
    def make() -> Any:
        from lightgbm import LGBMClassifier  # noqa: PLC0415 - an extra

        return LGBMClassifier(verbose=-1, random_state=0, **options)

    return make


def _forest(trees: int, **options: Any) -> Callable[[], Any]:
    return lambda: RandomForestClassifier(trees, n_jobs=-1, random_state=0, **options)


def _foreseeing(spec: MachineSpec) -> MachineSpec:
    """Return the spec of who fails within seven days, by windows of a week; with a counter more."""
    tables = spec.model_dump(exclude_defaults=True)
    tables["features"] = (*tables["features"], {"name": "smart_9_raw", "unit": "h"})
    tables["label"] = {"kind": "horizon", "within": "7d"}
    tables["windows"] = {"rows": [7], "statistics": ["mean", "max", "slope"], "first": 5}
    return MachineSpec.model_validate(tables)


def _presagio_foresees(spec: MachineSpec, grid: GridName) -> Learner:
    def learn(train: pl.DataFrame, test: pl.DataFrame) -> Floats:
        model = train_model(dataset_from_frame(train, spec, "a fold"), spec, grid=GRIDS[grid])
        with tempfile.TemporaryDirectory() as folder:
            predictor = load_predictor(Path(folder), digest=export_model(model, Path(folder)))
            known = dataset_from_frame(test, spec, "the rest")
            return predictor.predict(known.inputs).score

    return learn


def _boosting_foresees(spec: MachineSpec, **options: Any) -> Learner:
    def learn(train: pl.DataFrame, test: pl.DataFrame) -> Floats:
        known = dataset_from_frame(train, spec, "a fold")
        fitted = _boosting(**options)().fit(known.inputs, known.target)
        rest = dataset_from_frame(test, spec, "the rest")
        return np.asarray(fitted.predict_proba(rest.inputs))[:, 1]

    return learn


def _alarms(target: NDArray[np.bool_], scores: Floats, units: NDArray[Any]) -> tuple[str, str]:
    """Return failures that are foreseen by false alarms of one in 1,000 drive-days, and of five."""
    healthy, failing = np.sort(scores[~target]), np.unique(units[target])
    found = []
    for allowed in (1, 5):
        bar = healthy[-max(len(healthy) * allowed // 1000, 1)]
        caught = np.unique(units[target & (scores > bar)])
        found.append(f"{len(caught)} of {len(failing)}")
    return found[0], found[1]


def _foreseen(spec: MachineSpec, path: Path, size: Size) -> str:
    """Measure who is foreseen to fail within seven days, and return the table."""
    spec = _foreseeing(spec)
    with path.open("rb") as file:
        days = check_file(file, spec, suffix=".parquet").accepted
    if size is Size.SMOKE:
        some = days.filter(pl.col(spec.target.name))["serial_number"].to_list()
        days = days.filter(pl.col("serial_number").is_in([*some, *days["serial_number"][:300]]))
    names = days["serial_number"].to_numpy()
    learners = {
        "Presagio": _presagio_foresees(spec, size.pick("full", "full", "small")),
        "LightGBM": _boosting_foresees(spec),
        "LightGBM, 7 leaves, 50 rows a leaf": _boosting_foresees(
            spec, num_leaves=7, min_child_samples=50, learning_rate=0.05
        ),
    }
    lines: list[tuple[object, ...]] = []
    for name, learn in learners.items():
        began, all_of, found = time.perf_counter(), list[tuple[Any, ...]](), []
        for train, test in GroupKFold(_FOLDS).split(names, names, names):
            known = dataset_from_frame(days[test], spec, "the rest")
            scores = learn(days[train], days[test])
            found.append(average_precision_score(known.target, scores))
            all_of.append((known.target, scores, known.units))
        target, scores, units = (np.concatenate(parts) for parts in zip(*all_of, strict=True))
        seconds = (time.perf_counter() - began) / _FOLDS
        lines.append((
            name, f"{np.mean(found):.3f} ± {np.std(found):.3f}",
            f"{average_precision_score(target, scores):.3f}", *_alarms(target, scores, units),
            f"{seconds:.0f} s",
        ))  # fmt: skip
        print("seven days", *lines[-1], sep="; ", flush=True)
    header = (
        "who fails within 7 days", "average precision, mean of folds ± sd", "of all rows at once",
        "drives foreseen, at 1 false alarm in 1,000 drive-days", "at 5", "a fold",
    )  # fmt: skip
    return table(header, lines)


def run(size: Size) -> None:
    """Measure, and write the tables."""
    if not os.environ.get(_PARQUET):
        print(f"drives: skipped, {_PARQUET} does not name a file of drives (Backblaze, 2013)")
        return
    spec = load_spec(ROOT / "tests" / "drives.toml")
    days = pl.read_parquet(os.environ[_PARQUET])
    days = days.with_columns(pl.col(spec.target.name).cast(pl.Boolean))
    if size is Size.SMOKE:
        days = days.filter(pl.col(spec.target.name)).vstack(days.sample(3000, seed=0))
    target = days[spec.target.name].to_numpy()
    unit = days["serial_number"].to_numpy()
    folds = list(GroupKFold(_FOLDS).split(target, target, unit))
    trees = size.pick(500, 200, 10)
    learners: dict[str, Learner] = {
        "Presagio": _presagio(spec, size.pick("full", "full", "small")),
        f"random forest, {trees} trees": _sklearn(spec, _forest(trees)),
        f"random forest, {trees} trees, balanced": _sklearn(
            spec, _forest(trees, class_weight="balanced_subsample", min_samples_leaf=3)
        ),
        "LightGBM": _sklearn(spec, _boosting()),
        "LightGBM, balanced": _sklearn(spec, _boosting(class_weight="balanced")),
    }
    lines: list[tuple[object, ...]] = []
    for name, learn in learners.items():
        began, scores, found = time.perf_counter(), np.zeros(len(days)), []
        for train, test in folds:
            scores[test] = learn(days[train], days[test])
            found.append(average_precision_score(target[test], scores[test]))
        seconds = (time.perf_counter() - began) / _FOLDS
        lines.append(
            (name, f"{np.mean(found):.4f} ± {np.std(found):.4f}",
             f"{average_precision_score(target, scores):.4f}", f"{seconds:.0f} s")
        )  # fmt: skip
        print(*lines[-1], sep="; ", flush=True)
    header = ("learner", "average precision, mean of folds ± sd", "of all rows at once", "a fold")
    about = (
        f"{len(days):,} days of {len(set(unit)):,} drives, {int(target.sum())} failures; "
        f"{_FOLDS} folds by drive."
    )
    foreseen = _foreseen(spec, Path(os.environ[_PARQUET]), size)
    write("drives", f"{about}\n\n{table(header, lines)}\n\n{foreseen}", size, after="wide")
