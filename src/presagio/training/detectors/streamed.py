"""An SVM for more rows than an exact one can learn from.

An exact SVM compares every row with every other: its time grows with the square of the rows. Here
the kernel is approximated by its values at some hundred landmarks (Nystroem), and a linear SVM
learns on them, chunk by chunk, by stochastic gradient descent: time grows with the rows, and memory
does not.

Source: Williams and Seeger, "Using the Nystroem Method to Speed Up Kernel Machines", 2001;
Bottou, "Large-Scale Machine Learning with Stochastic Gradient Descent", 2010.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDClassifier

from presagio.training.datasets.mapped import Positions
from presagio.training.detectors.detector import Bools, FeatureRows, Floats
from presagio.training.detectors.expansion import KernelExpansion
from presagio.training.detectors.scaling import build_scaling

# Each column takes as many landmarks, up to the most: what has few columns is soon covered.
_LANDMARKS_A_COLUMN = 50
_MOST_LANDMARKS = 200
# So many rows are expanded at a time: 32 MB with the most landmarks.
_CHUNK_ROWS = 20_000
# What is scaled by, and what landmarks are drawn from.
_SCALED_BY_ROWS = 20_000
# More steps than these changed no metric; fewer rows are gone through several times.
_STEPS = 500_000


class StreamedSVM(ClassifierMixin, BaseEstimator):
    """Scaled features, landmarks, and a linear SVM learned in chunks.

    Parameters
    ----------
    sharpness
        Of the features, as :class:`presagio.training.detectors.features.FeatureSet` has it.
    kernel, C, gamma, degree, coef0, class_weight
        As those of :class:`sklearn.svm.SVC`.
    seed
        Of landmarks and order: the same rows and seed give the same SVM.

    Attributes
    ----------
    scaling_
        The trained steps that scale features.
    map_
        The trained approximation; None for a linear kernel.
    svm_
        The linear SVM.
    """

    def __init__(
        self,
        sharpness: float | None = None,
        kernel: str = "rbf",
        C: float = 1.0,  # noqa: N803 - as scikit-learn names it
        gamma: float = 1.0,
        degree: int = 3,
        coef0: float = 0.0,
        class_weight: str | None = None,
        seed: int = 0,
    ) -> None:
        self.sharpness = sharpness
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.class_weight = class_weight
        self.seed = seed

    def fit(self, features: FeatureRows, target: Bools) -> Self:
        """Learn from ``n`` rows, of which only a chunk is ever held; the target: shape ``(n,)``."""
        rng, rows = np.random.default_rng(self.seed), len(target)
        some = features[np.sort(rng.choice(rows, size=min(rows, _SCALED_BY_ROWS), replace=False))]
        self.scaling_ = build_scaling(self.sharpness)
        self.map_ = self._landmarks(self.scaling_.fit_transform(some))
        self.svm_ = SGDClassifier(
            alpha=1.0 / (self.C * rows), average=True, random_state=self.seed,
            class_weight=self._weights(target),
        )  # fmt: skip
        for _ in range(max(1, math.ceil(_STEPS / rows))):
            for chosen in _chunks(rng.permutation(rows)):
                expanded = self._expand(features[chosen])
                self.svm_.partial_fit(expanded, target[chosen], classes=[False, True])
        self.classes_ = np.array([False, True])
        return self

    def decision_function(self, features: FeatureRows) -> Floats:
        """Return the signed distance from the boundary, shape ``(n,)``."""
        parts = [
            self.svm_.decision_function(self._expand(features[start : start + _CHUNK_ROWS]))
            for start in range(0, len(features), _CHUNK_ROWS)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def predict(self, features: FeatureRows) -> Bools:
        """Tell on which side rows are, shape ``(n,)``."""
        above: Bools = self.decision_function(features) >= 0.0
        return above

    @property
    def size(self) -> int:
        """How many landmarks a prediction is computed from; a linear SVM needs none."""
        return 0 if self.map_ is None else len(self.map_.components_)

    def graph_part(self, columns: tuple[str, ...]) -> KernelExpansion:
        """Return the kernel expansion that the SVM is."""
        weights, intercept = self.svm_.coef_[0], float(self.svm_.intercept_[0])
        if self.map_ is None:
            return KernelExpansion.linear(columns, self.scaling_, weights, intercept)
        # The approximation multiplies kernel values by a matrix, and the SVM those by its weights.
        return KernelExpansion(
            columns, self.scaling_, self.kernel, self.map_.components_,
            self.map_.normalization_.T @ weights, intercept,
            float(self.gamma), self.degree, float(self.coef0),
        )  # fmt: skip

    def _landmarks(self, scaled: Floats) -> Nystroem | None:
        if self.kernel == "linear":
            return None
        shape = {"degree": self.degree, "coef0": self.coef0} if self.kernel == "poly" else {}
        wanted = min(_MOST_LANDMARKS, _LANDMARKS_A_COLUMN * scaled.shape[1])
        approximation = Nystroem(
            kernel=self.kernel, gamma=self.gamma, random_state=self.seed,
            n_components=min(wanted, len(scaled)), **shape,
        )  # fmt: skip
        return approximation.fit(scaled)

    def _weights(self, target: Bools) -> Mapping[bool, float] | None:
        if self.class_weight is None:
            return None
        share = float(target.mean())
        return {False: 0.5 / (1.0 - share), True: 0.5 / share}

    def _expand(self, features: Floats) -> Floats:
        scaled: Floats = self.scaling_.transform(features)
        return scaled if self.map_ is None else self.map_.transform(scaled)


def _chunks(positions: Positions) -> Iterator[Positions]:
    for start in range(0, len(positions), _CHUNK_ROWS):
        yield positions[start : start + _CHUNK_ROWS]
