"""What a machine learns from a reading: inputs, derived quantities, distances to limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from presagio.machine.limits import derive_quantities, distances_of, signed_distances
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]
_SHARPNESS = (4.0, 16.0)
# So steep that only the side of a limit is left, to the last bit: a reading on a limit is told from
# one beyond it by rounding alone (27 of the 10,000 AI4I rows are on 8.6 K).
_STEP = 1e18


@dataclass(frozen=True)
class FeatureSet:
    """Columns that one machine sees.

    Attributes
    ----------
    name
        For reports: ``raw``, ``derived``, ``limits``, ``squashed_4``, ``beyond``.
    columns
        Names of inputs, quantities and distances.
    sharpness
        None: columns are standardised. Else each is divided by its standard deviation, so that 0
        stays the limit, and squashed to ``tanh(sharpness * x)``: far from a limit, how far does
        not matter.
    """

    name: str
    columns: tuple[str, ...]
    sharpness: float | None = None


def feature_sets(spec: MachineSpec, mode: str | None = None) -> tuple[FeatureSet, ...]:
    """Return the sets of features to choose from.

    Parameters
    ----------
    spec
        The machine spec; without quantities and limits there are fewer sets.
    mode
        For the detector of one failure mode: its own limits only, where it has any. Of a mode with
        few failures chance would pick among more; the target's race compares them all.
    """
    sets = [FeatureSet("raw", spec.input_names)]
    if spec.quantities:
        quantities = tuple(quantity.name for quantity in spec.quantities)
        sets.insert(0, FeatureSet("derived", spec.input_names + quantities))
    limits = tuple(d.name for d in distances_of(spec) if mode in (None, d.mode))
    if limits:
        squashed = [FeatureSet(f"squashed_{s:g}", limits, s) for s in _SHARPNESS]
        squashed.append(FeatureSet("beyond", limits, _STEP))
        others = sets if mode is None else []
        sets = [*squashed, FeatureSet("limits", limits), *others]
    return tuple(sets)


@lru_cache(maxsize=8)
def _parsed(spec: str) -> MachineSpec:
    return MachineSpec.model_validate_json(spec)


def compute_features(spec: MachineSpec, inputs: pd.DataFrame, columns: Sequence[str]) -> Floats:
    """Compute features of readings; shape ``(n, k)``, each in its own unit.

    Parameters
    ----------
    spec
        The machine spec.
    inputs
        ``n`` rows, the spec's inputs as columns.
    columns
        Names of inputs, quantities and distances.
    """
    values = {name: inputs[name].to_numpy(dtype=np.float64) for name in spec.input_names}
    pool = {**values, **derive_quantities(spec, values)}
    if not pool.keys() >= set(columns):
        pool |= signed_distances(spec, values)
    return np.column_stack([pool[name] for name in columns])


class FeatureTable:
    """Features of the same rows for many machines; each set is computed once.

    Parameters
    ----------
    spec
        The machine spec as JSON.
    inputs
        ``n`` rows, the spec's inputs as columns.
    """

    def __init__(self, spec: str, inputs: pd.DataFrame) -> None:
        self.spec = spec
        self._inputs = inputs
        self._computed: dict[tuple[str, ...], Floats] = {}
        self._lock = Lock()

    def of(self, features: FeatureSet) -> Floats:
        """Return a set of features, not yet scaled, shape ``(n, k)``."""
        with self._lock:
            found = self._computed.get(features.columns)
            if found is None:
                found = compute_features(_parsed(self.spec), self._inputs, features.columns)
                self._computed[features.columns] = found
        return found


class SpecFeatures(TransformerMixin, BaseEstimator):
    """Computes features from a frame of the machine spec's inputs; learns nothing.

    Parameters
    ----------
    spec
        The machine spec as JSON: text is all that a stored copy of the model needs of it.
    columns
        Names of inputs, quantities and distances.
    """

    def __init__(self, spec: str, columns: tuple[str, ...]) -> None:
        self.spec = spec
        self.columns = columns

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, inputs: pd.DataFrame, target: object = None) -> Self:  # noqa: ARG002
        """Do nothing."""
        return self

    def transform(self, inputs: pd.DataFrame) -> Floats:
        """Compute the features; shape ``(n, k)``."""
        return compute_features(_parsed(self.spec), inputs, self.columns)


class Squash(TransformerMixin, BaseEstimator):
    """``tanh(sharpness * x)``, by which only what is near a limit is told apart."""

    def __init__(self, sharpness: float) -> None:
        self.sharpness = sharpness

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, features: Floats, target: object = None) -> Self:  # noqa: ARG002
        """Do nothing."""
        return self

    def transform(self, features: Floats) -> Floats:
        """Squash; the shape stays."""
        squashed: Floats = np.tanh(self.sharpness * features)
        return squashed


def build_features(spec: str, features: FeatureSet) -> Pipeline:
    """Build the steps from a frame of inputs to scaled features."""
    computed = SpecFeatures(spec, features.columns)
    if features.sharpness is None:
        return Pipeline([("compute", computed), ("scale", StandardScaler())])
    return Pipeline(
        [
            ("compute", computed),
            ("scale", StandardScaler(with_mean=False)),
            ("squash", Squash(features.sharpness)),
        ]
    )
