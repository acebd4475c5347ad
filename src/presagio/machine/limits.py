"""Derived quantities, distances to the operating limits, and the failure modes that they define."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.machine.failure_rules import Bound
from presagio.machine.inputs import Category
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def _ratio(top: Floats, bottom: Floats) -> Floats:
    none = bottom == 0.0
    return np.where(none, 0.0, top / np.where(none, 1.0, bottom))


def _log(values: Floats) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values))


def _sum(*parts: Floats) -> Floats:
    total: Floats = np.add.reduce(parts)
    return total


_KINDS: dict[str, Callable[..., Floats]] = {
    "difference": np.subtract, "product": np.multiply, "ratio": _ratio, "sum": _sum, "log": _log,
}  # fmt: skip


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
        One array of shape ``(n,)`` for each of ``spec.derived``, in its unit.
    """
    derived: dict[str, Floats] = {}
    for quantity in spec.derived:
        parts = [readings[n] if n in readings else derived[n] for n in quantity.of]
        derived[quantity.name] = _KINDS[quantity.kind](*parts) * quantity.factor
    return derived


def category_values(
    category: Category, inputs: Mapping[str, NDArray[np.generic]]
) -> NDArray[np.str_]:
    """Recover a category's values, shape ``(n,)``, from its indicator arrays."""
    indicators = [inputs[name].astype(bool) for name in category.indicators.values()]
    return np.select(indicators, list(category.indicators), default=category.remainder or "")


def rows_by_category(
    spec: MachineSpec, inputs: Mapping[str, NDArray[np.generic]]
) -> dict[str, Bools]:
    """Tell which rows have each value of each category, as ``type L``; values without a row not.

    Parameters
    ----------
    spec
        The machine spec.
    inputs
        The indicators of its categories at least, each of shape ``(n,)``.
    """
    groups = {
        f"{category.name} {value}": category_values(category, inputs) == value
        for category in spec.categories
        for value in category.values
    }
    return {name: rows for name, rows in groups.items() if rows.any()}


def threshold_of(bound: Bound, spec: MachineSpec, inputs: Mapping[str, Floats]) -> float | Floats:
    """Return where a bound's limit lies: one number, or one a row of its category, shape ``(n,)``.

    Parameters
    ----------
    bound
        Of one of the spec's rules.
    spec
        The machine spec.
    inputs
        The indicators of its categories at least, each of shape ``(n,)``.
    """
    limit = bound.limit
    if not isinstance(limit, dict):
        return limit
    kinds = category_values(spec.category(bound.by or ""), inputs)
    return np.select([kinds == value for value in limit], list(limit.values()), np.nan)


def _beyond(bound: Bound, values: Floats, spec: MachineSpec, inputs: Mapping[str, Floats]) -> Bools:
    threshold = threshold_of(bound, spec, inputs)
    return values < threshold if bound.above is None else values > threshold


@dataclass(frozen=True)
class Distance:
    """How far a quantity is from one limit of one failure mode.

    Attributes
    ----------
    name
        Such as ``pwf_power_above``: mode, quantity, and the side on which the limit is broken.
    mode
        The failure mode.
    bound
        The limit.
    unit
        That of the quantity, and so of the distance.
    """

    name: str
    mode: str
    bound: Bound
    unit: str


def distances_of(spec: MachineSpec) -> tuple[Distance, ...]:
    """Return the distances to all operating limits of a spec, in its order; none where it has none.

    Two rules of a mode may name one bound: it is one distance then.
    """
    units = {feature.name: feature.unit for feature in spec.features}
    units |= {quantity.name: quantity.unit for quantity in spec.derived}
    found: dict[str, Distance] = {}
    for rule in spec.rules:
        for bound in rule.bounds:
            side = "below" if bound.above is None else "above"
            name, number = f"{rule.mode}_{bound.of}_{side}", 2
            while name in found and found[name].bound != bound:
                name, number = f"{rule.mode}_{bound.of}_{side}_{number}", number + 1
            found[name] = Distance(name, rule.mode, bound, units[bound.of])
    return tuple(found.values())


def signed_distances(spec: MachineSpec, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    """Measure how far readings are from each operating limit.

    Parameters
    ----------
    spec
        The machine spec.
    inputs
        One array of shape ``(n,)`` for each name in ``spec.input_names``.

    Returns
    -------
    dict
        For each name of :func:`distances_of` an array of shape ``(n,)``, in the unit of the
        limited quantity: positive within the limit, negative beyond it.
    """
    values = {**inputs, **derive_quantities(spec, inputs)}
    measured: dict[str, Floats] = {}
    for distance in distances_of(spec):
        bound, value = distance.bound, values[distance.bound.of]
        threshold = threshold_of(bound, spec, inputs)
        measured[distance.name] = value - threshold if bound.above is None else threshold - value
    return measured


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
        For each mode that has rules that are certain, an array of shape ``(n,)``.
    """
    values = {**inputs, **derive_quantities(spec, inputs)}
    rows = len(values[spec.feature_names[0]])
    certain = [rule for rule in spec.rules if rule.certain]
    modes = {rule.mode: np.zeros(rows, dtype=bool) for rule in certain}
    for rule in certain:
        bounds = [_beyond(bound, values[bound.of], spec, inputs) for bound in rule.bounds]
        modes[rule.mode] |= np.logical_and.reduce(bounds)
    return modes
