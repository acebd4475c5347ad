"""The choice of a model, on the training part only: features, kernels, one machine or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import joblib
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score
from sklearn.pipeline import Pipeline

from presagio.machine.spec import MachineSpec
from presagio.training.alarm import DetectorPlan, FailureAlarm, Method, build_detector
from presagio.training.features import FeatureSet, feature_sets
from presagio.training.grids import BASELINE_GRID, DEFAULT_GRID, Grid, parameter_points
from presagio.training.race import Candidate, Counter, Progress, race, rounds
from presagio.training.splitting import FOLDS, Folds, Part, make_folds, repeats
from presagio.training.thresholds import Thresholds, choose_thresholds, row_costs

Shape = Literal["per_mode", "single"]

# Divisions into folds for out-of-fold scores of the chosen plans, where rows are few.
REPEATS = 3
# Candidates race on no more rows: fits grow with the square of rows, ranks hardly change.
_RACE_ROWS = 10_000
# A mode with fewer failures cannot be learned by itself.
_FEWEST_FAILURES = 20
# Of a mode's failures, the share that has to count as failures of the machine.
_COUNTS = 0.5


@dataclass(frozen=True)
class ShapeFigures:
    """How one shape of model does on out-of-fold scores.

    Attributes
    ----------
    thresholds
        The best by each measure.
    costs
        Expected cost of 1,000 readings, fold by fold.
    average_precision, f1
        Means over the folds.
    """

    alarm: FailureAlarm
    thresholds: Thresholds
    costs: tuple[float, ...]
    average_precision: float
    f1: float


@dataclass(frozen=True)
class SearchResult:
    """What the search chose, trained on the whole training part.

    Attributes
    ----------
    alarm
        The model, with its threshold.
    thresholds
        The best by each measure; the model uses the one by cost.
    shape
        Whether it has one detector a failure mode or one for all.
    shapes
        The shapes that were compared; of a streamed model by exact ones on a sample.
    candidates
        All candidates of all labels.
    grid
        The parameters that were tried.
    baseline
        The described model, trained on the rows of the race; it alarms from a score of 0 on.
    """

    alarm: FailureAlarm
    thresholds: Thresholds
    shape: Shape
    shapes: Mapping[Shape, ShapeFigures]
    candidates: tuple[Candidate, ...]
    grid: Grid
    baseline: Pipeline

    @property
    def method(self) -> Method:
        """Whether the model is an exact one, or streamed for its many rows."""
        return self.alarm.plans[0].method

    def best_by_features(self) -> dict[str, dict[str, float]]:
        """Return for each label the best mean of average precision and F1 with each feature set.

        Of sets whose candidates all went out early it is that of the folds that they saw.
        """
        best: dict[str, dict[str, float]] = {}
        for candidate in self.candidates:
            label, features = candidate.plan.label, candidate.plan.features.name
            found = best.setdefault(label, {})
            found[features] = max(candidate.value, found.get(features, 0.0))
        return best


def _plans(label: str, sets: Sequence[FeatureSet], grid: Grid) -> list[DetectorPlan]:
    return [
        DetectorPlan(label, features, parameters)
        for features in sets
        for parameters in parameter_points(grid)
    ]


def learnable_modes(spec: MachineSpec, labels: pd.DataFrame) -> tuple[str, ...]:
    """Return the failure modes that can have a detector: known, often enough, and counted."""
    target = labels[spec.target.name].to_numpy(dtype=bool)
    return tuple(
        mode.name
        for mode in spec.modes
        if mode.name in labels
        and (found := labels[mode.name].to_numpy(dtype=bool)).sum() >= _FEWEST_FAILURES
        and target[found].mean() >= _COUNTS
    )


def _shape_figures(
    spec: MachineSpec, plans: tuple[DetectorPlan, ...], part: Part, divisions: Sequence[Folds]
) -> ShapeFigures:
    with joblib.parallel_config(backend="threading", n_jobs=-1):
        alarm = FailureAlarm(spec.model_dump_json(), plans)
        alarm.fit(part.inputs, part.labels, folds=divisions)
    thresholds = choose_thresholds(part.target[alarm.judged_], alarm.out_of_fold_, spec.costs)
    alarm.threshold_ = thresholds.cost
    costs, precision, f1 = [], [], []
    for scores, division in zip(alarm.out_of_fold_, divisions, strict=True):
        for _, test in division:
            target, score = part.target[test], scores[np.searchsorted(alarm.judged_, test)]
            label = score >= thresholds.cost
            costs.append(1000 * float(row_costs(target, label, spec.costs).mean()))
            precision.append(average_precision_score(target, score))
            f1.append(f1_score(target, label, zero_division=0.0))
    means = float(np.mean(precision)), float(np.mean(f1))
    return ShapeFigures(alarm, thresholds, tuple(costs), *means)


def _choose(shapes: Mapping[Shape, ShapeFigures]) -> Shape:
    """Prefer a detector a mode, which names the cause, unless one for all is clearly cheaper."""
    if "per_mode" not in shapes:
        return "single"
    saved = np.subtract(shapes["per_mode"].costs, shapes["single"].costs)
    error = saved.std() / np.sqrt(FOLDS)
    return "single" if saved.mean() > error else "per_mode"


def search(
    spec: MachineSpec,
    part: Part,
    *,
    divided_by: str | None = None,
    grid: Grid = DEFAULT_GRID,
    method: Method = "exact",
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> SearchResult:
    """Choose features and kernels label by label, then the shape, then the threshold.

    Parameters
    ----------
    spec
        The machine spec.
    part
        The training part.
    divided_by
        How it is divided into folds: by ``time``, by ``unit``, or None for stratified ones.
    grid
        Parameters of the machines.
    method
        How the choice is trained at last. ``streamed``: shapes are compared on the sample that
        candidates race on, and calibration and threshold come from one fold of all rows.
    seed
        Seed of the folds.
    progress
        Called with (fits done, fits in all) after each fit.

    Returns
    -------
    SearchResult
        The winner, trained on all rows given.
    """
    text, target = spec.model_dump_json(), spec.target.name
    sample = part.sample(_RACE_ROWS, seed=seed)
    folds = make_folds(sample, divided_by, seed=seed)
    races = {target: _plans(target, feature_sets(spec), grid)}
    for mode in learnable_modes(spec, sample.labels):
        races[mode] = _plans(mode, feature_sets(spec, mode), grid)
    baseline = _plans(target, [FeatureSet("raw", spec.input_names)], BASELINE_GRID)
    fits = sum(sum(rounds(len(plans))) for plans in races.values())
    counter = Counter(fits + sum(rounds(len(baseline), 1)), progress)
    ranked = {label: race(text, sample, plans, folds, counter) for label, plans in races.items()}
    described = race(text, sample, baseline, folds, counter, 1)
    compared = part if method == "exact" else sample
    divisions = [
        make_folds(compared, divided_by, seed=seed + i)
        for i in range(repeats(len(compared), REPEATS))
    ]
    shapes: dict[Shape, ShapeFigures] = {
        "single": _shape_figures(spec, (ranked[target][0].plan,), compared, divisions)
    }
    if len(ranked) > 1:
        plans = tuple(found[0].plan for label, found in ranked.items() if label != target)
        shapes["per_mode"] = _shape_figures(spec, plans, compared, divisions)
    shape = _choose(shapes)
    chosen = shapes[shape]
    if method == "streamed":
        large = tuple(replace(plan, method=method) for plan in chosen.alarm.plans)
        chosen = _shape_figures(spec, large, part, [make_folds(part, divided_by, seed=seed)[:1]])
    old = build_detector(text, described[0].plan).fit(sample.inputs, sample.target)
    candidates = [candidate for found in ranked.values() for candidate in found]
    return SearchResult(
        chosen.alarm, chosen.thresholds, shape, shapes, (*candidates, *described), grid, old
    )
