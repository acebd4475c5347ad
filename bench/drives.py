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
from presagio.machine.spec import MachineSpec, load_spec
from presagio.scoring.frames import score_frame
from presagio.training.datasets.dataset import dataset_from_frame
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


def run(size: Size) -> None:
    """Measure, and write the table."""
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
    write("drives", f"{about}\n\n{table(header, lines)}", size, after="wide")
