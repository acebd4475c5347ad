"""Cross-validation of a whole model, calibration and threshold included, with shared fits.

Each fold tests a model that was trained, calibrated and given its threshold without it. That model
wants scores of its own training rows by detectors that have seen neither them nor the fold that
tests it: a detector without folds i and j gives those of j for the model without i, and those
of i for the model without j. So five folds take 5 + 10 fits of each detector; with folds of its own
within each fold it was 80.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import joblib
import numpy as np
from numpy.typing import NDArray

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.splitting import Folds, Part, take_labels
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.detector import Detector
from presagio.training.detectors.features import FeatureTable
from presagio.training.detectors.plans import DetectorPlan, build_detector
from presagio.training.evaluation.metrics import Metrics, evaluate
from presagio.training.search.halving import Progress
from presagio.training.search.thresholds import choose_thresholds

Floats = NDArray[np.float64]
# One detector without some folds, and its scores of the rows of each of these.
_Fit = tuple[Detector, Mapping[int, Floats]]


def left_out(folds: int) -> list[tuple[int, ...]]:
    """Return the folds that each fit of a detector leaves out: each one, and each pair."""
    return [*((fold,) for fold in range(folds)), *combinations(range(folds), 2)]


class _SharedFits:
    """One division into folds, with the detectors that leave one or two of them out."""

    def __init__(
        self, table: FeatureTable, part: Part, plans: tuple[DetectorPlan, ...], folds: Folds
    ) -> None:
        self._table, self._part, self._plans = table, part, plans
        self._tests = [test for _, test in folds]
        self._fold_of = np.empty(len(part), dtype=np.int64)
        for fold, test in enumerate(self._tests):
            self._fold_of[test] = fold

    def fit(self, plan: DetectorPlan, without: tuple[int, ...]) -> _Fit:
        """Train one detector without some folds."""
        rows = np.flatnonzero(~np.isin(self._fold_of, without))
        detector = build_detector(plan)
        detector.fit(self._table.rows(plan.features, rows), self._part.labels[plan.label][rows])
        if len(without) == 1:
            return detector, {}
        return detector, {
            fold: detector.decision_function(self._table.rows(plan.features, self._tests[fold]))
            for fold in without
        }

    def evaluate(
        self, fits: Mapping[tuple[int, tuple[int, ...]], _Fit], fold: int, spec: MachineSpec
    ) -> Metrics:
        """Evaluate, on one fold, the model that has not seen it."""
        detectors, unseen = [], []
        for plan in range(len(self._plans)):
            scores = np.empty(len(self._part))
            for other in range(len(self._tests)):
                if other != fold:
                    pair = (min(fold, other), max(fold, other))
                    scores[self._tests[other]] = fits[plan, pair][1][other]
            detectors.append(fits[plan, (fold,)][0])
            unseen.append(scores[self._fold_of != fold][np.newaxis])
        alarm = FailureAlarm(spec, self._plans)
        others = self._fold_of != fold
        alarm.combine(detectors, unseen, take_labels(self._part.labels, others))
        train = self._part.target[others]
        alarm.threshold_ = choose_thresholds(train, alarm.out_of_fold_, spec.costs).cost
        test = self._part.take(self._tests[fold])
        score = alarm.decision_function(test.inputs)
        label = score >= alarm.threshold_
        return evaluate(test.target, score, alarm.probability(score), label)


def cross_validate(
    spec: MachineSpec,
    part: Part,
    plans: tuple[DetectorPlan, ...],
    divisions: list[Folds],
    progress: Progress,
) -> Iterator[Metrics]:
    """Evaluate exact detectors, as they are chosen, fold by fold.

    Parameters
    ----------
    spec
        The machine spec, whose costs count.
    part
        The rows.
    plans
        The detectors.
    divisions
        Divisions of the rows into folds.
    progress
        Called with (folds done, folds in all).
    """
    table = FeatureTable(spec, part.inputs)
    done, total = 0, sum(map(len, divisions))
    with joblib.Parallel(return_as="generator") as pool:
        for folds in divisions:
            division = _SharedFits(table, part, plans, folds)
            keys = [(i, out) for i in range(len(plans)) for out in left_out(len(folds))]
            jobs = (joblib.delayed(division.fit)(plans[i], out) for i, out in keys)
            fits = dict(zip(keys, pool(jobs), strict=True))
            for fold in range(len(folds)):
                yield division.evaluate(fits, fold, spec)
                done += 1
                progress(done, total)
