"""Features on one scale, by which a kernel compares them."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float64]


class Squash(TransformerMixin, BaseEstimator):
    """``tanh(sharpness * x)``, by which only what is near a limit is told apart."""

    def __init__(self, sharpness: float) -> None:
        self.sharpness = sharpness

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, features: Floats, target: object = None) -> Self:  # noqa: ARG002
        """Do nothing; features of any shape."""
        return self

    def transform(self, features: Floats) -> Floats:
        """Squash; the shape stays."""
        squashed: Floats = np.tanh(self.sharpness * features)
        return squashed


def build_scaling(sharpness: float | None) -> Pipeline:
    """Build the steps that scale features.

    Parameters
    ----------
    sharpness
        None: features are standardised. Else each is divided by its standard deviation, so that 0
        stays where it is, and squashed.
    """
    if sharpness is None:
        return Pipeline([("scale", StandardScaler())])
    return Pipeline([("scale", StandardScaler(with_mean=False)), ("squash", Squash(sharpness))])
