"""Derived quantities, and the failure modes that the operating limits define."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from presagio.machine.spec import Bound, Category, MachineSpec

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_KINDS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "difference": np.subtract,
    "product": np.multiply,
}


def derive_quantities(spec: MachineSpec, readings: Mapping[str, Floats]) -> dict[str, Floats]:
    """Compute every derived quantity of the spec.

    Parameters
    ----------
    spec
        The machine spec.
    readings
        One array of shape ``(n,)`` for each numeric feature, in the feature's unit.

    Returns
    -------
    dict
        One array of shape ``(n,)`` for each quantity, in the quantity's unit.
    """
    derived: dict[str, Floats] = {}
    for quantity in spec.quantities:
        left, right = ({**readings, **derived}[name] for name in quantity.of)
        derived[quantity.name] = _KINDS[quantity.kind](left, right) * quantity.factor
    return derived


def category_values(
    category: Category, inputs: Mapping[str, NDArray[np.generic]]
) -> NDArray[np.str_]:
    """Recover a category's values, shape ``(n,)``, from its indicator arrays."""
    indicators = [inputs[name].astype(bool) for name in category.indicators.values()]
    return np.select(indicators, list(category.indicators), default=category.remainder or "")


def _beyond(bound: Bound, values: Floats, spec: MachineSpec, inputs: Mapping[str, Floats]) -> Bools:
    limit = bound.limit
    threshold: float | Floats
    if isinstance(limit, dict):
        kinds = category_values(spec.category(bound.by or ""), inputs)
        threshold = np.select([kinds == value for value in limit], list(limit.values()), np.nan)
    else:
        threshold = limit
    return values < threshold if bound.above is None else values > threshold


def failing_modes(spec: MachineSpec, inputs: Mapping[str, Floats]) -> dict[str, Bools]:
    """Tell which failure modes the operating limits expect.

    Parameters
    ----------
    spec
        The machine spec.
    inputs
        One array of shape ``(n,)`` for each name in ``spec.input_names``.

    Returns
    -------
    dict
        For each mode that has rules, an array of shape ``(n,)``.
    """
    values = {**inputs, **derive_quantities(spec, inputs)}
    rows = len(values[spec.feature_names[0]])
    modes = {rule.mode: np.zeros(rows, dtype=bool) for rule in spec.rules}
    for rule in spec.rules:
        bounds = [_beyond(bound, values[bound.of], spec, inputs) for bound in rule.bounds]
        modes[rule.mode] |= np.logical_and.reduce(bounds)
    return modes
