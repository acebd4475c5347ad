"""An exact SVM: scaled features, then :class:`sklearn.svm.SVC`."""

import warnings
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC

from presagio.training.detectors.detector import Bools, FeatureRows, Floats
from presagio.training.detectors.expansion import KernelExpansion
from presagio.training.detectors.scaling import build_scaling

_KERNEL_CACHE_MB = 500
# Some kernels on some rows make libsvm go on for ever; most fits need a hundredth of this.
_MOST_STEPS = 200_000
# Such a candidate is ranked by what it has come to, and seldom wins.
warnings.filterwarnings("ignore", "Solver terminated early", ConvergenceWarning)


class ExactSVM(ClassifierMixin, BaseEstimator):
    """An SVM that compares every row with every other.

    Parameters
    ----------
    sharpness
        Of the features, as :class:`presagio.training.detectors.features.FeatureSet` has it.
    kernel, C, gamma, degree, coef0, class_weight
        As those of :class:`sklearn.svm.SVC`.

    Attributes
    ----------
    scaling_
        The trained steps that scale features.
    svc_
        The trained SVM.
    """

    def __init__(
        self,
        sharpness: float | None = None,
        kernel: str = "rbf",
        C: float = 1.0,  # noqa: N803 - as scikit-learn names it
        gamma: float | str = "scale",
        degree: int = 3,
        coef0: float = 0.0,
        class_weight: str | None = None,
    ) -> None:
        self.sharpness = sharpness
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.class_weight = class_weight

    def fit(self, features: FeatureRows, target: Bools) -> Self:
        """Learn from ``n`` rows; the target has shape ``(n,)``."""
        self.scaling_ = build_scaling(self.sharpness)
        self.svc_ = SVC(
            kernel=self.kernel, C=self.C, gamma=self.gamma, degree=self.degree, coef0=self.coef0,
            class_weight=self.class_weight, cache_size=_KERNEL_CACHE_MB, max_iter=_MOST_STEPS,
        )  # fmt: skip
        self.svc_.fit(self.scaling_.fit_transform(features[:]), target)
        self.classes_ = np.array([False, True])
        return self

    def decision_function(self, features: FeatureRows) -> Floats:
        """Return the signed distance from the boundary, shape ``(n,)``."""
        decision: Floats = self.svc_.decision_function(self.scaling_.transform(features[:]))
        return decision

    def predict(self, features: FeatureRows) -> Bools:
        """Tell on which side rows are, shape ``(n,)``."""
        above: Bools = self.decision_function(features) >= 0.0
        return above

    @property
    def size(self) -> int:
        """How many support vectors a prediction is computed from; a linear SVM needs none."""
        return 0 if self.kernel == "linear" else len(self.svc_.support_vectors_)

    def graph_part(self, columns: tuple[str, ...]) -> KernelExpansion:
        """Return the kernel expansion that the SVM is."""
        svc, intercept = self.svc_, float(self.svc_.intercept_[0])
        if self.kernel == "linear":
            return KernelExpansion.linear(columns, self.scaling_, svc.coef_[0], intercept)
        return KernelExpansion(
            columns, self.scaling_, self.kernel, svc.support_vectors_, svc.dual_coef_[0], intercept,
            float(svc._gamma), svc.degree, float(svc.coef0),  # noqa: SLF001 - "scale" resolved
        )  # fmt: skip
