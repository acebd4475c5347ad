"""The choice of a model, on the training part only: features, kernels, one detector or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import Labels, target_of
from presagio.training.datasets.splitting import Folds, Part, make_folds, repeats
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.detector import Detector
from presagio.training.detectors.features import FeatureSet, FeatureTable, feature_sets
from presagio.training.detectors.plans import DetectorPlan, Method, build_detector
from presagio.training.search.grids import (
    DEFAULT_GRID,
    REFERENCE_GRID,
    Grid,
    grid_of,
    parameter_points,
)
from presagio.training.search.halving import (
    FINALISTS,
    Candidate,
    Counter,
    Progress,
    rounds,
    successive_halving,
)
from presagio.training.search.parallel import one_thread_a_fit
from presagio.training.search.shapes import Shape, ShapeMetrics, choose_shape, train_shape
from presagio.training.search.thresholds import Thresholds

# Divisions into folds for out-of-fold scores of the chosen plans, where rows are few.
REPEATS = 3
# Candidates are compared on no more rows: fits grow with the square, ranks hardly change.
_COMPARED_ROWS = 10_000
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
    reference, reference_plan
        The reference model (a linear SVM on oversampled rows), trained on the rows that candidates
        are compared on; its features are the inputs, and it alarms from a score of 0 on.
    """

    alarm: FailureAlarm
    thresholds: Thresholds
    shape: Shape
    shapes: Mapping[Shape, ShapeMetrics]
    candidates: tuple[Candidate, ...]
    grid: Grid
    reference: Detector
    reference_plan: DetectorPlan

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
        for parameters in parameter_points(grid_of(features, grid), len(features.columns))
    ]


def learnable_modes(spec: MachineSpec, labels: Labels) -> tuple[str, ...]:
    """Return the failure modes that can have a detector: known, often enough, and counted."""
    target = target_of(labels)
    return tuple(
        mode.name
        for mode in spec.modes
        if (found := labels.get(mode.name)) is not None
        and found.sum() >= _FEWEST_FAILURES
        and target[found].mean() >= _COUNTS
    )


class _Comparisons:
    """Candidates of all labels, and of the reference model, compared on the same rows."""

    def __init__(
        self, spec: MachineSpec, sample: Part, folds: Folds, grid: Grid, seed: int
    ) -> None:
        target = spec.target.name
        self.table = FeatureTable(spec, sample.inputs)
        self._sample, self._folds, self._seed = sample, folds, seed
        self._plans = {target: _plans(target, feature_sets(spec), grid)}
        for mode in learnable_modes(spec, sample.labels):
            self._plans[mode] = _plans(mode, feature_sets(spec, mode), grid)
        raw = FeatureSet("raw", spec.input_names)
        self._reference = _plans(target, [raw], REFERENCE_GRID)

    def run(self, progress: Progress) -> tuple[dict[str, list[Candidate]], list[Candidate]]:
        """Return the candidates of each label, the best first, and those of the reference model."""
        fits = sum(len(plans) + sum(rounds(len(plans))) for plans in self._plans.values())
        fits += len(self._reference) + sum(rounds(len(self._reference), 1, 1))
        counter = Counter(fits, progress)
        ranked = {
            label: self._compare(plans, self._folds, counter)
            for label, plans in self._plans.items()
        }
        # It is for the report only: one fold will do.
        return ranked, self._compare(self._reference, self._folds[:1], counter, 1)

    def _compare(
        self, plans: list[DetectorPlan], folds: Folds, counter: Counter, finalists: int = FINALISTS
    ) -> list[Candidate]:
        target = self._sample.labels[plans[0].label]
        return successive_halving(
            self.table, plans, target, folds, counter, finalists=finalists,
            healthy_weight=self._sample.healthy_weight, seed=self._seed,
        )  # fmt: skip


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
        Parameters of the detectors.
    method
        How the choice is trained at last. ``streamed``: shapes are compared on the sample that
        candidates are compared on, and calibration and threshold come from one fold of all rows.
    seed
        Seed of the folds.
    progress
        Called with (fits done, fits in all) after each fit.

    Returns
    -------
    SearchResult
        The choice, trained on all rows given.
    """
    target = spec.target.name
    sample = part.sample(_COMPARED_ROWS, seed=seed)
    with one_thread_a_fit():
        folds = make_folds(sample, divided_by, seed=seed)
        comparisons = _Comparisons(spec, sample, folds, grid, seed)
        ranked, reference = comparisons.run(progress)
        compared = part if method == "exact" else sample
        divisions = [
            make_folds(compared, divided_by, seed=seed + i)
            for i in range(repeats(len(compared), REPEATS))
        ]
        shapes: dict[Shape, ShapeMetrics] = {
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
        plan = reference[0].plan
        linear = build_detector(plan).fit(comparisons.table.rows(plan.features), sample.target)
    candidates = [candidate for found in ranked.values() for candidate in found]
    return SearchResult(
        alarm=chosen.alarm,
        thresholds=chosen.thresholds,
        shape=shape,
        shapes=shapes,
        candidates=(*candidates, *reference),
        grid=grid,
        reference=linear,
        reference_plan=plan,
    )
