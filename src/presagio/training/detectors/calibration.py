"""From scores to log odds and probabilities."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from presagio.inference.measures import f1_of

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

# From this F1 on its own mode a detector's own boundary is good; below, it only ranks readings.
_DETECTS = 0.5


class _Scores(ClassifierMixin, BaseEstimator):
    """An estimator whose features are its scores, so that scikit-learn calibrates any scores."""

    def fit(self, scores: Floats, target: Bools) -> Self:  # noqa: ARG002
        self.classes_ = np.array([False, True])
        return self

    def decision_function(self, scores: Floats) -> Floats:
        return scores[:, 0]

    def predict(self, scores: Floats) -> Bools:
        return scores[:, 0] >= 0.0


def fit_sigmoid(scores: Floats, target: Bools) -> tuple[float, float]:
    """Fit ``1 / (1 + exp(-(slope * score + offset)))`` (Platt, 1999).

    Parameters
    ----------
    scores, target
        Shape ``(n,)``; scores of rows that the scoring model has not learned from.

    Returns
    -------
    tuple of float
        Slope and offset: they make log odds of scores.
    """
    column = scores.reshape(-1, 1)
    frozen = FrozenEstimator(_Scores().fit(column, target))
    calibrated = CalibratedClassifierCV(frozen, ensemble=False).fit(column, target)
    sigmoid = calibrated.calibrated_classifiers_[0].calibrators[0]
    return -float(sigmoid.a_), -float(sigmoid.b_)


def fit_log_odds(unseen: Floats, target: Bools) -> tuple[float, float]:
    """Return slope and offset that make log odds of a detector's decision function.

    Parameters
    ----------
    unseen
        Of ``n`` rows, by detectors that have not learned from them, shape ``(repeats, n)``.
    target
        Shape ``(n,)``.

    Returns
    -------
    tuple of float
        The offset is 0 for a detector that tells its label well: it keeps its own boundary.
    """
    repeated = np.tile(target, len(unseen))
    slope, offset = fit_sigmoid(unseen.ravel(), repeated)
    detects = f1_of(repeated, unseen.ravel() >= 0.0) >= _DETECTS
    return (slope, 0.0) if detects else (slope, offset)
