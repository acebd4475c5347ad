"""A Support Vector Machine for more rows than an exact one can learn from.

An exact machine compares every row with every other: its time grows with the square of the rows.
Here the kernel is approximated by its values against some hundred landmarks (Nystroem), and a
linear machine learns on them, chunk by chunk, by stochastic gradient descent: time grows with the
rows, and memory does not.

Source: Williams and Seeger, "Using the Nystroem Method to Speed Up Kernel Machines", 2001;
Bottou, "Large-Scale Machine Learning with Stochastic Gradient Descent", 2010.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline

from presagio.training.datasets.mapped import Positions

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

# Each column takes as many landmarks, up to the most: what has few columns is soon covered.
_LANDMARKS_A_COLUMN = 50
_MOST_LANDMARKS = 200
# So many rows are expanded at a time: 32 MB with the most landmarks.
_CHUNK_ROWS = 20_000
# What is scaled by, and what landmarks are drawn from.
_SCALED_BY_ROWS = 20_000
# More steps than these changed no figure; fewer rows are gone through several times.
_STEPS = 500_000


class StreamedSVM(ClassifierMixin, BaseEstimator):
    """Scaled features, landmarks, and a linear Support Vector Machine learned in chunks.

    Parameters
    ----------
    features
        Untrained steps from a frame of inputs to scaled features.
    kernel, C, gamma, degree, coef0, class_weight
        As those of :class:`sklearn.svm.SVC`.
    seed
        Of landmarks and order: the same rows and seed give the same machine.

    Attributes
    ----------
    features_
        The trained steps.
    map_
        The trained approximation; None for a linear kernel.
    svm_
        The linear machine.
    """

    def __init__(
        self,
        features: Pipeline,
        kernel: str = "rbf",
        C: float = 1.0,  # noqa: N803 - as scikit-learn names it
        gamma: float = 1.0,
        degree: int = 3,
        coef0: float = 0.0,
        class_weight: str | None = None,
        seed: int = 0,
    ) -> None:
        self.features = features
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.class_weight = class_weight
        self.seed = seed

    def fit(self, inputs: pd.DataFrame, target: Bools, positions: Positions | None = None) -> Self:
        """Learn from ``n`` rows.

        Parameters
        ----------
        inputs, target
            ``n`` rows, and shape ``(n,)``.
        positions
            Of the rows to learn from; all when not given. Only a chunk of them is ever copied.
        """
        own = np.arange(len(target)) if positions is None else positions
        rng, rows = np.random.default_rng(self.seed), len(own)
        some = own[np.sort(rng.choice(rows, size=min(rows, _SCALED_BY_ROWS), replace=False))]
        self.features_ = self.features.fit(inputs.iloc[some])
        self.map_ = self._landmarks(self.features_.transform(inputs.iloc[some]))
        self.svm_ = SGDClassifier(
            alpha=1.0 / (self.C * rows), average=True, random_state=self.seed,
            class_weight=self._weights(target[own]),
        )  # fmt: skip
        for _ in range(max(1, math.ceil(_STEPS / rows))):
            for chosen in _chunks(rng.permutation(own)):
                expanded = self._expand(inputs.iloc[chosen])
                self.svm_.partial_fit(expanded, target[chosen], classes=[False, True])
        self.classes_ = np.array([False, True])
        return self

    def decision_function(self, inputs: pd.DataFrame, positions: Positions | None = None) -> Floats:
        """Return the signed distance from the boundary, of all rows or some, shape ``(n,)``."""
        own = np.arange(len(inputs)) if positions is None else positions
        parts = [
            self.svm_.decision_function(self._expand(inputs.iloc[chosen]))
            for chosen in _chunks(own)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def predict(self, inputs: pd.DataFrame) -> Bools:
        """Tell on which side rows are, shape ``(n,)``."""
        beyond: Bools = self.decision_function(inputs) >= 0.0
        return beyond

    def _landmarks(self, scaled: Floats) -> Nystroem | None:
        if self.kernel == "linear":
            return None
        own = {"degree": self.degree, "coef0": self.coef0} if self.kernel == "poly" else {}
        wanted = min(_MOST_LANDMARKS, _LANDMARKS_A_COLUMN * scaled.shape[1])
        approximation = Nystroem(
            kernel=self.kernel, gamma=self.gamma, random_state=self.seed,
            n_components=min(wanted, len(scaled)), **own,
        )  # fmt: skip
        return approximation.fit(scaled)

    def _weights(self, target: Bools) -> Mapping[bool, float] | None:
        if self.class_weight is None:
            return None
        share = float(target.mean())
        return {False: 0.5 / (1.0 - share), True: 0.5 / share}

    def _expand(self, inputs: pd.DataFrame) -> Floats:
        scaled: Floats = self.features_.transform(inputs)
        return scaled if self.map_ is None else self.map_.transform(scaled)


def _chunks(positions: Positions) -> Iterator[Positions]:
    for start in range(0, len(positions), _CHUNK_ROWS):
        yield positions[start : start + _CHUNK_ROWS]
