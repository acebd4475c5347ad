"""The model: one Support Vector Machine a failure mode, or one for all, combined into one alarm."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from presagio.training.datasets.mapped import Positions
from presagio.training.datasets.splitting import Folds
from presagio.training.detectors.calibration import fit_log_odds, fit_sigmoid
from presagio.training.detectors.expansion import expand
from presagio.training.detectors.features import FeatureSet, FeatureTable, build_features
from presagio.training.detectors.streamed import StreamedSVM

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Method = Literal["exact", "streamed"]
Detector: TypeAlias = Pipeline | StreamedSVM
Rows: TypeAlias = Positions | slice

_KERNEL_CACHE_MB = 500
# Some kernels on some rows make libsvm go on for ever; most fits need a hundredth of this.
_MOST_STEPS = 200_000
# Such a candidate is ranked by what it has come to, and seldom wins.
warnings.filterwarnings("ignore", "Solver terminated early", ConvergenceWarning)


@dataclass(frozen=True)
class DetectorPlan:
    """What one detector is made of.

    Attributes
    ----------
    label
        The failure mode that it detects, or the target.
    features
        What it sees.
    parameters
        Of its :class:`sklearn.svm.SVC`.
    method
        ``exact``, or ``streamed`` for more rows than that can learn from.
    """

    label: str
    features: FeatureSet
    parameters: Mapping[str, Any] = field(default_factory=dict)
    method: Method = "exact"


def build_detector(spec: str, plan: DetectorPlan) -> Detector:
    """Build one untrained detector: ``features``, then ``svc``; or a streamed one."""
    if plan.method == "streamed":
        return StreamedSVM(build_features(spec, plan.features), **plan.parameters)
    svc = SVC(cache_size=_KERNEL_CACHE_MB, max_iter=_MOST_STEPS, **plan.parameters)
    return Pipeline([("features", build_features(spec, plan.features)), ("svc", svc)])


def fit_detector(table: FeatureTable, plan: DetectorPlan, target: Bools, rows: Rows) -> Pipeline:
    """Train an exact detector on some rows of a table.

    The same as fitting :func:`build_detector` on the rows' inputs, but their features are computed
    once for all detectors and folds.
    """
    detector = build_detector(table.spec, plan)
    # The first step computes features and learns nothing; these are computed.
    scaled = detector["features"][1:].fit_transform(table.of(plan.features)[rows])
    detector["svc"].fit(scaled, target[rows])
    return detector


def decide(detector: Pipeline, table: FeatureTable, plan: DetectorPlan, rows: Rows) -> Floats:
    """Return an exact detector's decision function of some rows of a table."""
    scaled = detector["features"][1:].transform(table.of(plan.features)[rows])
    decision: Floats = detector["svc"].decision_function(scaled)
    return decision


class FailureAlarm(ClassifierMixin, BaseEstimator):
    """Detectors whose odds add up to one score.

    Each detector's decision function is turned into log odds of its mode by a sigmoid fitted on
    out-of-fold values. A detector that tells its mode well keeps its own boundary (the sigmoid's
    slope, and no offset): with few failures the sigmoid would move the boundary that the margin
    has found. The score is the logarithm of the sum of the odds.

    Parameters
    ----------
    spec
        The machine spec as JSON.
    plans
        The detectors; a single one for the target makes the usual single SVC of it.

    Attributes
    ----------
    detectors_
        One trained pipeline a plan.
    slopes_, offsets_
        From decision function to log odds, one a plan.
    judged_
        Positions of the training rows that some fold judges, shape ``(m,)``: all, or those of the
        only fold.
    out_of_fold_
        Their scores by models that have not seen them, shape ``(repeats, m)``.
    calibration_
        Slope and offset of the sigmoid from score to probability.
    threshold_
        Score from which on a reading is an alarm; set by whoever judges, 0 until then.
    """

    def __init__(self, spec: str, plans: tuple[DetectorPlan, ...]) -> None:
        self.spec = spec
        self.plans = plans

    def fit(self, inputs: pd.DataFrame, labels: pd.DataFrame, *, folds: Sequence[Folds]) -> Self:
        """Train every detector.

        Parameters
        ----------
        inputs
            ``n`` rows, the spec's inputs.
        labels
            ``n`` rows, a boolean column for the label of each plan; the target is the first.
        folds
            Several divisions into folds, for out-of-fold scores.
        """
        self.judged_ = judged_rows(folds)
        detectors, unseen = self._learn(inputs, labels, folds)
        return self.combine(detectors, unseen, labels.iloc[self.judged_])

    def combine(
        self, detectors: Sequence[Detector], unseen: Sequence[Floats], labels: pd.DataFrame
    ) -> Self:
        """Calibrate trained detectors against each other.

        Parameters
        ----------
        detectors
            One a plan.
        unseen
            For each plan the decision function of ``m`` rows, by detectors that have not learned
            from them, shape ``(repeats, m)``.
        labels
            Of these rows, as in :meth:`fit`.
        """
        self.detectors_ = list(detectors)
        slopes, offsets, odds = [], [], []
        for plan, scores in zip(self.plans, unseen, strict=True):
            slope, offset = fit_log_odds(scores, _target(labels, plan))
            slopes.append(slope)
            offsets.append(offset)
            odds.append(slope * scores + offset)
        self.slopes_, self.offsets_ = np.array(slopes), np.array(offsets)
        self.out_of_fold_ = np.logaddexp.reduce(np.stack(odds), axis=0)
        failed = labels.iloc[:, 0].to_numpy(dtype=bool)
        repeated = np.tile(failed, len(self.out_of_fold_))
        self.calibration_ = fit_sigmoid(self.out_of_fold_.ravel(), repeated)
        self.threshold_ = 0.0
        self.classes_ = np.array([False, True])
        return self

    def _learn(
        self, inputs: pd.DataFrame, labels: pd.DataFrame, folds: Sequence[Folds]
    ) -> tuple[list[Detector], list[Floats]]:
        """Train every detector; and return the scores of the judged rows by some that have not."""
        parts = [(i, *fold) for i, division in enumerate(folds) for fold in division]
        table = FeatureTable(self.spec, inputs)

        def learn(plan: DetectorPlan, part: tuple[int, Positions, Positions] | None) -> Any:
            target = _target(labels, plan)
            if plan.method == "streamed":
                streamed = build_detector(self.spec, plan)
                if part is None:
                    return streamed.fit(inputs, target)
                return streamed.fit(inputs, target, part[1]).decision_function(inputs, part[2])
            if part is None:
                return fit_detector(table, plan, target, slice(None))
            return decide(fit_detector(table, plan, target, part[1]), table, plan, part[2])

        jobs = [(plan, part) for plan in self.plans for part in (*parts, None)]
        found = iter(joblib.Parallel()(joblib.delayed(learn)(*job) for job in jobs))
        detectors, unseen = [], []
        for _ in self.plans:
            scores = np.empty((len(folds), len(inputs)))
            for i, _, test in parts:
                scores[i, test] = next(found)
            detectors.append(next(found))
            unseen.append(scores[:, self.judged_])
        return detectors, unseen

    def log_odds(self, inputs: pd.DataFrame) -> Floats:
        """Return the log odds of each detector's label, shape ``(n, detectors)``."""
        found = [detector.decision_function(inputs) for detector in self.detectors_]
        log_odds: Floats = np.column_stack(found) * self.slopes_ + self.offsets_
        return log_odds

    def decision_function(self, inputs: pd.DataFrame) -> Floats:
        """Return the score of each reading, shape ``(n,)``."""
        score: Floats = np.logaddexp.reduce(self.log_odds(inputs), axis=1)
        return score

    def predict(self, inputs: pd.DataFrame) -> Bools:
        """Tell which readings are alarms, shape ``(n,)``."""
        alarm: Bools = self.decision_function(inputs) >= self.threshold_
        return alarm

    def predict_proba(self, inputs: pd.DataFrame) -> Floats:
        """Return the calibrated probabilities of no failure and of a failure, ``(n, 2)``."""
        failure = self.probability(self.decision_function(inputs))
        return np.column_stack([1.0 - failure, failure])

    def probability(self, score: Floats) -> Floats:
        """Return the calibrated probability of a failure for scores."""
        slope, offset = self.calibration_
        probability: Floats = 1.0 / (1.0 + np.exp(-(slope * score + offset)))
        return probability

    @property
    def support_vectors(self) -> int:
        """How many vectors, support vectors or landmarks, an answer is computed from."""
        return sum(expand(detector).vector_count for detector in self.detectors_)


def judged_rows(folds: Sequence[Folds]) -> Positions:
    """Return the positions of the rows that the folds judge, in order; the same in each division.

    All rows, unless of a division one fold is used only: of many rows a part says enough.
    """
    return np.sort(np.concatenate([test for _, test in folds[0]]))


def _target(labels: pd.DataFrame, plan: DetectorPlan) -> Bools:
    return labels[plan.label].to_numpy(dtype=bool)
