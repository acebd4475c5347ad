"""What a detector learns from a reading: inputs, derived quantities, distances to limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from presagio.inference.imputation import input_columns
from presagio.machine.limits import derive_quantities, distances_of, signed_distances
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.mapped import Positions, release
from presagio.training.detectors.detector import FeatureRows

Floats = NDArray[np.float64]
# What the set of features is called that has windows among them.
WINDOWS = "windows"
_SHARPNESS = (4.0, 16.0)
# So steep that only the side of a limit is left, to the last bit: a reading on a limit is told from
# one beyond it by rounding alone (27 of the 10,000 AI4I rows are on 8.6 K).
_STEP = 1e18
# Features of more rows are computed as they are asked for, and never held whole.
_HELD_ROWS = 50_000


@dataclass(frozen=True)
class FeatureSet:
    """Columns that one detector sees.

    Attributes
    ----------
    name
        For reports: ``raw``, ``with_flags``, ``derived``, ``windows``, ``limits``, ``squashed_4``,
        ``beyond``.
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


def _derived_columns(spec: MachineSpec, names: Sequence[str]) -> tuple[str, ...]:
    """Return inputs and quantities; a logarithm in place of a feature that asks for it."""
    logs = {feature.name: feature.log_name for feature in spec.features if feature.log}
    quantities = (quantity.name for quantity in spec.quantities)
    return (*(logs.get(name, name) for name in names), *quantities)


def feature_sets(spec: MachineSpec, mode: str | None = None) -> tuple[FeatureSet, ...]:
    """Return the sets of features to choose from.

    Parameters
    ----------
    spec
        The machine spec; without quantities and limits there are fewer sets.
    mode
        For the detector of one failure mode: its own limits only, where it has any. Of a mode with
        few failures chance would pick among more; for the target all are compared.
    """
    sets, read = [FeatureSet("raw", spec.input_names)], spec.input_names + spec.missing_names
    if spec.missing_names:
        sets.insert(0, FeatureSet("with_flags", read))
    if spec.derived:
        sets.insert(0, FeatureSet("derived", _derived_columns(spec, read)))
    if spec.windows is not None:
        sets.insert(0, FeatureSet(WINDOWS, _derived_columns(spec, spec.model_inputs)))
    limits = tuple(d.name for d in distances_of(spec) if mode in (None, d.mode))
    if limits:
        squashed = [FeatureSet(f"squashed_{s:g}", limits, s) for s in _SHARPNESS]
        squashed.append(FeatureSet("beyond", limits, _STEP))
        others = sets if mode is None else []
        sets = [*squashed, FeatureSet("limits", limits), *others]
    return tuple(sets)


def widest_features(spec: MachineSpec) -> FeatureSet:
    """Return the set of all inputs and quantities, windows included."""
    return FeatureSet(WINDOWS, _derived_columns(spec, spec.model_inputs))


def compute_features(spec: MachineSpec, inputs: Floats, columns: Sequence[str]) -> Floats:
    """Compute features of readings, each in its own unit.

    Parameters
    ----------
    spec
        The machine spec.
    inputs
        Shape ``(n, m)``: complete rows, the columns of ``spec.model_inputs``.
    columns
        Names of ``m`` inputs, quantities and distances.

    Returns
    -------
    ndarray
        Shape ``(n, m)``.
    """
    values = input_columns(spec, inputs)
    pool = {**values, **derive_quantities(spec, values)}
    if not pool.keys() >= set(columns):
        pool |= signed_distances(spec, values)
    return np.column_stack([pool[name] for name in columns])


@dataclass(frozen=True)
class _ComputedRows:
    """Features of all rows, or of some, that are computed whenever they are asked for."""

    spec: MachineSpec
    inputs: Floats
    columns: tuple[str, ...]
    positions: Positions | None

    def __len__(self) -> int:
        return len(self.inputs if self.positions is None else self.positions)

    def __getitem__(self, rows: Positions | slice, /) -> Floats:
        chosen = rows if self.positions is None else self.positions[rows]
        found = compute_features(self.spec, self.inputs[chosen], self.columns)
        release(self.inputs)
        return found


class FeatureTable:
    """Features of the same rows for many detectors; each set is computed once.

    Parameters
    ----------
    spec
        The machine spec.
    inputs
        Shape ``(n, k)``: the spec's inputs as columns, in its order.
    """

    def __init__(self, spec: MachineSpec, inputs: Floats) -> None:
        self.spec = spec
        self._inputs = inputs
        self._computed: dict[tuple[str, ...], Floats] = {}
        self._lock = Lock()

    def rows(self, features: FeatureSet, positions: Positions | None = None) -> FeatureRows:
        """Return a set of features, not yet scaled, of all rows or of those at some positions.

        Of many rows in all it is computed as it is asked for, whatever the positions.
        """
        if len(self._inputs) > _HELD_ROWS:
            return _ComputedRows(self.spec, self._inputs, features.columns, positions)
        with self._lock:
            found = self._computed.get(features.columns)
            if found is None:
                found = compute_features(self.spec, self._inputs, features.columns)
                self._computed[features.columns] = found
        return found if positions is None else found[positions]
