"""The choice of a model, on the training part only: features, kernels, one machine or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from sklearn.pipeline import Pipeline

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.splitting import Folds, Part, make_folds, repeats
from presagio.training.detectors.alarm import DetectorPlan, FailureAlarm, Method, fit_detector
from presagio.training.detectors.features import FeatureSet, FeatureTable, feature_sets
from presagio.training.search.grids import BASELINE_GRID, DEFAULT_GRID, Grid, parameter_points
from presagio.training.search.halving import FINALISTS, Candidate, Counter, Progress, race, rounds
from presagio.training.search.parallel import one_thread_a_fit
from presagio.training.search.shapes import Shape, ShapeFigures, choose_shape, train_shape
from presagio.training.search.thresholds import Thresholds

# Divisions into folds for out-of-fold scores of the chosen plans, where rows are few.
REPEATS = 3
# Candidates race on no more rows: fits grow with the square of rows, ranks hardly change.
_RACE_ROWS = 10_000
# A mode with fewer failures cannot be learned by itself.
_FEWEST_FAILURES = 20
# Of a mode's failures, the share that has to count as failures of the machine.
_COUNTS = 0.5


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


class _Races:
    """The races of all labels on the same rows, and that of the described model's parameters."""

    def __init__(
        self, spec: MachineSpec, sample: Part, folds: Folds, grid: Grid, seed: int
    ) -> None:
        target = spec.target.name
        self.table = FeatureTable(spec.model_dump_json(), sample.inputs)
        self._sample, self._folds, self._seed = sample, folds, seed
        self._plans = {target: _plans(target, feature_sets(spec), grid)}
        for mode in learnable_modes(spec, sample.labels):
            self._plans[mode] = _plans(mode, feature_sets(spec, mode), grid)
        raw = FeatureSet("raw", spec.input_names)
        self._described = _plans(target, [raw], BASELINE_GRID)

    def run(self, progress: Progress) -> tuple[dict[str, list[Candidate]], list[Candidate]]:
        """Return the candidates of each label, the best first, and those of the described model."""
        plans = [*self._plans.values()]
        fits = sum(len(own) + sum(rounds(len(own))) for own in plans)
        fits += len(self._described) + sum(rounds(len(self._described), 1, 1))
        counter = Counter(fits, progress)
        ranked = {
            label: self._race(own, self._folds, counter) for label, own in self._plans.items()
        }
        # It is for the report only: one fold will do.
        return ranked, self._race(self._described, self._folds[:1], counter, 1)

    def _race(
        self, plans: list[DetectorPlan], folds: Folds, counter: Counter, finalists: int = FINALISTS
    ) -> list[Candidate]:
        target = self._sample.labels[plans[0].label].to_numpy(dtype=bool)
        return race(self.table, plans, target, folds, counter, finalists=finalists, seed=self._seed)


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
    target = spec.target.name
    sample = part.sample(_RACE_ROWS, seed=seed)
    with one_thread_a_fit():
        races = _Races(spec, sample, make_folds(sample, divided_by, seed=seed), grid, seed)
        ranked, described = races.run(progress)
        compared = part if method == "exact" else sample
        divisions = [
            make_folds(compared, divided_by, seed=seed + i)
            for i in range(repeats(len(compared), REPEATS))
        ]
        shapes: dict[Shape, ShapeFigures] = {
            "single": train_shape(spec, (ranked[target][0].plan,), compared, divisions)
        }
        if len(ranked) > 1:
            plans = tuple(found[0].plan for label, found in ranked.items() if label != target)
            shapes["per_mode"] = train_shape(spec, plans, compared, divisions)
        shape = choose_shape(shapes)
        chosen = shapes[shape]
        if method == "streamed":
            large = tuple(replace(plan, method=method) for plan in chosen.alarm.plans)
            chosen = train_shape(spec, large, part, [make_folds(part, divided_by, seed=seed)[:1]])
        old = fit_detector(races.table, described[0].plan, sample.target, slice(None))
    candidates = [candidate for found in ranked.values() for candidate in found]
    return SearchResult(
        chosen.alarm, chosen.thresholds, shape, shapes, (*candidates, *described), grid, old
    )
