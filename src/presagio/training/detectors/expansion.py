"""What a trained detector computes: a weighted sum of kernel values, whatever trained it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from presagio.training.detectors.streamed import StreamedSVM

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KernelExpansion:
    """``sum_i weights_i * kernel(vectors_i, features) + intercept``.

    Attributes
    ----------
    features
        Trained steps from inputs to scaled features.
    kernel
        ``linear``, ``rbf`` or ``poly``.
    vectors
        Shape ``(m, k)``: support vectors, or landmarks; of a linear kernel the unit vectors, so
        that the weights are those of the features.
    weights
        Shape ``(m,)``.
    gamma, degree, coef0
        Of the kernel, as :class:`sklearn.svm.SVC` names them.
    """

    features: Pipeline
    kernel: str
    vectors: Floats
    weights: Floats
    intercept: float
    gamma: float = 1.0
    degree: int = 3
    coef0: float = 0.0

    @property
    def vector_count(self) -> int:
        """How many vectors an answer is computed from; a linear machine needs none."""
        return 0 if self.kernel == "linear" else len(self.vectors)

    def balanced(self) -> "KernelExpansion":
        """Return the same with its terms in an order in which their sum stays near 0.

        Terms are large and nearly cancel: summed up in single precision in this order they were
        off by a twentieth of what they were off by in the solver's order, which has all negative
        ones first. Each term is followed by the nearest one of the sign that the sum lacks.
        """
        left, order, total = np.arange(1, len(self.weights)), [0], float(self.weights[0])
        while len(left):
            lacking = left[(self.weights[left] > 0.0) == (total < 0.0)]
            choice = lacking if len(lacking) else left
            away = np.sum((self.vectors[choice] - self.vectors[order[-1]]) ** 2, axis=1)
            order.append(int(choice[np.argmin(away)]))
            total += float(self.weights[order[-1]])
            left = left[left != order[-1]]
        return replace(self, vectors=self.vectors[order], weights=self.weights[order])


def _of_streamed(detector: StreamedSVM) -> KernelExpansion:
    weights, approximation = detector.svm_.coef_[0], detector.map_
    intercept = float(detector.svm_.intercept_[0])
    if approximation is None:
        unit = np.eye(len(weights))
        return KernelExpansion(detector.features_, "linear", unit, weights, intercept)
    # The approximation multiplies kernel values by a matrix, and the machine those by its weights.
    return KernelExpansion(
        detector.features_, detector.kernel, approximation.components_,
        approximation.normalization_.T @ weights, intercept,
        float(detector.gamma), detector.degree, float(detector.coef0),
    )  # fmt: skip


def expand(detector: Pipeline | StreamedSVM) -> KernelExpansion:
    """Return what a trained detector computes."""
    if isinstance(detector, StreamedSVM):
        return _of_streamed(detector)
    svc, features = detector["svc"], detector["features"]
    intercept = float(svc.intercept_[0])
    if svc.kernel == "linear":
        weights = svc.coef_[0]
        return KernelExpansion(features, "linear", np.eye(len(weights)), weights, intercept)
    return KernelExpansion(
        features, svc.kernel, svc.support_vectors_, svc.dual_coef_[0], intercept,
        float(svc._gamma), svc.degree, float(svc.coef0),  # noqa: SLF001 - "scale" resolved
    )  # fmt: skip
