"""The hyperparameter search, on the training part only."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import precision_recall_curve
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline

from presagio.machine.spec import MachineSpec
from presagio.training.pipeline import build_pipeline

Grid = Sequence[Mapping[str, Sequence[Any]]]
Progress = Callable[[int, int], None]

FOLDS = 5
# The described grid (linear, three values of C), and RBF kernels around the best of a wider search.
DEFAULT_GRID: Grid = (
    {"svc__kernel": ["linear"], "svc__C": [0.01, 0.11, 10.0]},
    {"svc__kernel": ["rbf"], "svc__C": [1.0, 10.0, 100.0, 300.0], "svc__gamma": [0.03, 0.1, 0.3]},
)


@dataclass(frozen=True)
class Candidate:
    """One point of the grid: parameters, and average precision fold by fold."""

    parameters: dict[str, Any]
    mean: float
    sd: float
    fit_seconds: float
    folds: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """The sigmoid ``1 / (1 + exp(slope * score + intercept))`` (Platt, 1999)."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class SearchResult:
    """What the search chose, with the model trained on the whole training part.

    Attributes
    ----------
    threshold
        The score from which a row is an alarm; best F1 on out-of-fold scores.
    """

    candidates: tuple[Candidate, ...]
    best: Candidate
    pipeline: Pipeline
    threshold: float
    calibration: Calibration


class _FitCounter:
    """A scikit-learn callback that counts the search's fits, cross-validated ones only."""

    def __init__(self, total: int, report: Progress) -> None:
        self._total, self._report, self._done = total, report, 0
        self._lock = threading.Lock()

    def setup(self, estimator: object, context: object) -> None: ...

    def teardown(self, estimator: object, context: object) -> None: ...

    def on_fit_task_begin(self, estimator: object, context: object) -> None: ...

    def on_fit_task_end(self, estimator: object, context: Any) -> None:  # noqa: ARG002
        if context.task_name == "candidate-split-evaluation":
            # Fits end in several threads; whoever listens hears of them one by one, in order.
            with self._lock:
                self._done += 1
                self._report(self._done, self._total)


def _candidates(results: Mapping[str, Any]) -> tuple[Candidate, ...]:
    folds = np.stack([results[f"split{i}_test_score"] for i in range(FOLDS)], axis=1)
    return tuple(
        Candidate(
            dict(results["params"][i]),
            float(results["mean_test_score"][i]),
            float(results["std_test_score"][i]),
            float(results["mean_fit_time"][i]),
            tuple(float(score) for score in folds[i]),
        )
        for i in range(len(results["params"]))
    )


def _best_f1_threshold(target: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    precision, recall, thresholds = precision_recall_curve(target, scores)
    total = np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(np.argmax((2 * precision * recall / total)[:-1]))
    # Halfway to the next lower score, so that rounding in the exported graph flips no label.
    lower = thresholds[best - 1] if best else thresholds[best]
    return float((thresholds[best] + lower) / 2)


def search(
    spec: MachineSpec,
    inputs: pd.DataFrame,
    target: NDArray[np.bool_],
    *,
    grid: Grid = DEFAULT_GRID,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> SearchResult:
    """Search the grid by stratified cross-validation, scored by average precision.

    Threshold and calibration are chosen on out-of-fold scores of the winner.

    Parameters
    ----------
    spec
        The machine spec.
    inputs, target
        The training part: ``n`` rows and shape ``(n,)``.
    grid
        Parameter grids of the pipeline.
    seed
        Seed of the folds.
    progress
        Called with (fits done, fits in all) after each fit.

    Returns
    -------
    SearchResult
        The winner, trained on all rows given.
    """
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    total = FOLDS * sum(int(np.prod([len(v) for v in part.values()])) for part in grid)
    found = GridSearchCV(build_pipeline(spec), list(grid), scoring="average_precision", cv=folds)
    found.set_callbacks(_FitCounter(total, progress))
    # libsvm releases the interpreter's lock: threads use every core without copies of the data.
    with joblib.parallel_config(backend="threading", n_jobs=-1):
        found.fit(inputs, target)
        pipeline = build_pipeline(spec).set_params(**found.best_params_)
        scores = cross_val_predict(pipeline, inputs, target, cv=folds, method="decision_function")
        calibrated = CalibratedClassifierCV(pipeline, ensemble=False, cv=folds).fit(inputs, target)
    sigmoid = calibrated.calibrated_classifiers_[0].calibrators[0]
    candidates = _candidates(found.cv_results_)
    return SearchResult(
        candidates,
        candidates[int(found.best_index_)],
        found.best_estimator_,
        _best_f1_threshold(target, scores),
        Calibration(float(sigmoid.a_), float(sigmoid.b_)),
    )
