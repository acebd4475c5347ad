"""Support-vector regression of the time that a unit has left."""

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.svm import SVR

from presagio.training.detectors.detector import Floats
from presagio.training.detectors.expansion import KernelExpansion
from presagio.training.detectors.scaling import build_scaling

_KERNEL_CACHE_MB = 500
_MOST_STEPS = 500_000


class RemainingSVR(RegressorMixin, BaseEstimator):
    """Scaled features, then :class:`sklearn.svm.SVR` with an RBF kernel.

    Parameters
    ----------
    most
        What is longer is not told apart: longer lives count as so long.
    C, gamma
        As those of :class:`sklearn.svm.SVR`.
    epsilon
        As of :class:`sklearn.svm.SVR`, as a share of ``most``.

    Attributes
    ----------
    scaling_
        The trained steps that scale features.
    svr_
        The trained regression.
    """

    def __init__(
        self,
        most: float = 1.0,
        C: float = 1.0,  # noqa: N803 - as scikit-learn names it
        gamma: float = 1.0,
        epsilon: float = 0.04,
    ) -> None:
        self.most = most
        self.C = C
        self.gamma = gamma
        self.epsilon = epsilon

    def fit(self, features: Floats, left: Floats) -> Self:
        """Learn from ``n`` rows; the time left has shape ``(n,)``."""
        self.scaling_ = build_scaling(None)
        self.svr_ = SVR(
            C=self.C, gamma=self.gamma, epsilon=self.epsilon * self.most,
            cache_size=_KERNEL_CACHE_MB, max_iter=_MOST_STEPS,
        )  # fmt: skip
        self.svr_.fit(self.scaling_.fit_transform(features), np.minimum(left, self.most))
        return self

    def predict(self, features: Floats) -> Floats:
        """Return the time left, from 0 to ``most``, shape ``(n,)``."""
        found: Floats = self.svr_.predict(self.scaling_.transform(features))
        return np.clip(found, 0.0, self.most)

    def graph_part(self, columns: tuple[str, ...]) -> KernelExpansion:
        """Return the kernel expansion that the regression is, before it is cut at 0 and most."""
        svr = self.svr_
        return KernelExpansion(
            columns, self.scaling_, "rbf", svr.support_vectors_, svr.dual_coef_[0],
            float(svr.intercept_[0]), float(self.gamma),
        )  # fmt: skip
