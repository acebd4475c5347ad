"""The model: one detector per failure mode, or one for all, combined into one alarm."""

from collections.abc import Sequence
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import Labels, target_of
from presagio.training.datasets.mapped import Positions
from presagio.training.datasets.splitting import Folds, take_labels
from presagio.training.detectors.calibration import fit_log_odds, fit_sigmoid
from presagio.training.detectors.detector import Bools, Detector, Floats
from presagio.training.detectors.features import FeatureTable
from presagio.training.detectors.plans import DetectorPlan, build_detector


def input_matrix(spec: MachineSpec, inputs: ArrayLike) -> Floats:
    """Return complete inputs as an array, shape ``(n, m)``, in the spec's order.

    Parameters
    ----------
    spec
        The machine spec.
    inputs
        Such an array, which is not copied; or a data frame, whose columns are taken by their names:
        MLflow hands one to whatever has a signature.
    """
    found: Any = inputs
    if hasattr(found, "columns"):
        found = found[[*spec.model_inputs]]
    return np.asarray(found, dtype=np.float64)


class FailureAlarm(ClassifierMixin, BaseEstimator):
    """Detectors whose odds add up to one score.

    Each detector's decision function is turned into log odds of its mode by a sigmoid fitted on
    out-of-fold values. A detector that tells its mode well keeps its own boundary (the sigmoid's
    slope, and no offset): with few failures the sigmoid would move the boundary that the margin
    has found. The score is the logarithm of the sum of the odds.

    Parameters
    ----------
    spec
        The machine spec.
    plans
        The detectors; a single one for the target makes the usual single SVC of it.

    Attributes
    ----------
    detectors_
        One trained detector a plan.
    slopes_, offsets_
        From decision function to log odds, one a plan.
    tested_
        Positions of the training rows that some fold tests on, shape ``(m,)``: all, or those of
        the only fold.
    out_of_fold_
        Their scores by models that have not seen them, shape ``(repeats, m)``.
    calibration_
        Slope and offset of the sigmoid from score to probability.
    threshold_
        Score from which on a reading is an alarm; 0 until it is chosen.
    """

    def __init__(self, spec: MachineSpec, plans: tuple[DetectorPlan, ...]) -> None:
        self.spec = spec
        self.plans = plans

    def __getstate__(self) -> dict[str, Any]:
        """Return what a stored copy holds: the spec as plain data."""
        state: dict[str, Any] = super().__getstate__()
        return state | {"spec": self.spec.model_dump(mode="json")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what a stored copy holds; its spec is checked, and completed by later defaults."""
        super().__setstate__(state | {"spec": MachineSpec.model_validate(state["spec"])})

    def fit(self, inputs: ArrayLike, labels: Labels, *, folds: Sequence[Folds]) -> Self:
        """Train every detector.

        Parameters
        ----------
        inputs
            ``n`` rows, as :func:`input_matrix` takes them.
        labels
            Arrays of shape ``(n,)``, one for the label of each plan; the target is the first.
        folds
            Several divisions into folds, for out-of-fold scores.
        """
        self.tested_ = tested_rows(folds)
        table = FeatureTable(self.spec, input_matrix(self.spec, inputs))
        detectors, unseen = self._learn(table, labels, folds)
        return self.combine(detectors, unseen, take_labels(labels, self.tested_))

    def combine(
        self, detectors: Sequence[Detector], unseen: Sequence[Floats], labels: Labels
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
            slope, offset = fit_log_odds(scores, labels[plan.label])
            slopes.append(slope)
            offsets.append(offset)
            odds.append(slope * scores + offset)
        self.slopes_, self.offsets_ = np.array(slopes), np.array(offsets)
        self.out_of_fold_ = np.logaddexp.reduce(np.stack(odds), axis=0)
        repeated = np.tile(target_of(labels), len(self.out_of_fold_))
        self.calibration_ = fit_sigmoid(self.out_of_fold_.ravel(), repeated)
        self.threshold_ = 0.0
        self.classes_ = np.array([False, True])
        return self

    def _learn(
        self, table: FeatureTable, labels: Labels, folds: Sequence[Folds]
    ) -> tuple[list[Detector], list[Floats]]:
        """Train every detector; and return the scores of the tested rows by some that have not."""
        parts = [(i, *fold) for i, division in enumerate(folds) for fold in division]

        def learn(plan: DetectorPlan, part: tuple[int, Positions, Positions] | None) -> Any:
            detector, target = build_detector(plan), labels[plan.label]
            if part is None:
                return detector.fit(table.rows(plan.features), target)
            _, train, test = part
            detector.fit(table.rows(plan.features, train), target[train])
            return detector.decision_function(table.rows(plan.features, test))

        jobs = [(plan, part) for plan in self.plans for part in (*parts, None)]
        found = iter(joblib.Parallel()(joblib.delayed(learn)(*job) for job in jobs))
        detectors, unseen = [], []
        for plan in self.plans:
            scores = np.empty((len(folds), len(labels[plan.label])))
            for i, _, test in parts:
                scores[i, test] = next(found)
            detectors.append(next(found))
            unseen.append(scores[:, self.tested_])
        return detectors, unseen

    def log_odds(self, inputs: ArrayLike) -> Floats:
        """Return the log odds of each detector's label, shape ``(n, detectors)``."""
        table = FeatureTable(self.spec, input_matrix(self.spec, inputs))
        found = [
            detector.decision_function(table.rows(plan.features))
            for detector, plan in zip(self.detectors_, self.plans, strict=True)
        ]
        log_odds: Floats = np.column_stack(found) * self.slopes_ + self.offsets_
        return log_odds

    def decision_function(self, inputs: ArrayLike) -> Floats:
        """Return the score of each reading, shape ``(n,)``."""
        score: Floats = np.logaddexp.reduce(self.log_odds(inputs), axis=1)
        return score

    def predict(self, inputs: ArrayLike) -> Bools:
        """Tell which readings are alarms, shape ``(n,)``."""
        alarm: Bools = self.decision_function(inputs) >= self.threshold_
        return alarm

    def predict_proba(self, inputs: ArrayLike) -> Floats:
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
        """How many vectors, support vectors or landmarks, a prediction is computed from."""
        return sum(detector.size for detector in self.detectors_)


def tested_rows(folds: Sequence[Folds]) -> Positions:
    """Return the positions of the rows that folds test on, in order; the same in each division.

    All rows, unless of a division one fold is used only: of many rows a part says enough.
    """
    return np.sort(np.concatenate([test for _, test in folds[0]]))
