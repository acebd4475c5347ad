"""In which unit people see each reading of a machine: the one owner of that rule.

The machine spec's ``display_unit`` counts; where a feature has none, what a plant prefers instead
of the feature's unit. What is computed stays in the spec's units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from presagio.machine.failure_rules import Quantity
from presagio.machine.inputs import Feature
from presagio.machine.spec import MachineSpec
from presagio.machine.units import Unit, find_unit

Numbers = TypeVar("Numbers", float, NDArray[np.float64])

# No sensor reads this finely; what is typed in °C is no more than that in K.
_DECIMALS = 9
_SIGNS = {"sum": 1.0, "difference": -1.0}


@dataclass(frozen=True)
class ShownUnit:
    """How readings of one feature or quantity are shown.

    Attributes
    ----------
    unit
        The machine spec's.
    symbol
        The one that people see; empty of a number without one.
    scale, offset
        What people see is ``reading * scale + offset``; a difference is scaled only.
    """

    unit: str
    symbol: str
    scale: float = 1.0
    offset: float = 0.0

    def reading(self, value: Numbers) -> Numbers:
        """Return readings as people see them."""
        return value * self.scale + self.offset

    def difference(self, value: Numbers) -> Numbers:
        """Return how far readings are apart as people see it: 1 K is 1 °C then."""
        return value * self.scale

    def from_shown(self, value: float) -> float:
        """Return a reading that people see in the machine spec's unit."""
        if (self.scale, self.offset) == (1.0, 0.0):
            return value
        return round((value - self.offset) / self.scale, _DECIMALS)


class ShownUnits:
    """How the readings of a machine are shown.

    Parameters
    ----------
    spec
        The machine spec, as it was loaded: artifacts leave ``display_unit`` out.
    preferred
        The unit to show instead of each unit, by symbol, where the spec does not say it.
    """

    def __init__(
        self, spec: MachineSpec, preferred: Mapping[str, Unit] = MappingProxyType({})
    ) -> None:
        self._preferred = preferred
        self._known = {feature.name: self._of_feature(feature) for feature in spec.features}
        for quantity in spec.derived:
            self._known[quantity.name] = self._of_quantity(quantity)

    def of(self, name: object, unit: str | None = None) -> ShownUnit:
        """Return how a feature or quantity is shown.

        Parameters
        ----------
        name
            The spec's name of it; what is not known has no unit.
        unit
            The unit that a value is in by its source. Where that is not the spec's (the spec was
            changed since, perhaps), it is shown as it is.
        """
        found = self._known.get(name) if isinstance(name, str) else None
        if unit is None:
            return found or ShownUnit("", "")
        return found if found is not None and found.unit == unit else ShownUnit(unit, unit)

    def _preferred_to(self, unit: str) -> Unit | None:
        known = find_unit(unit)
        return None if known is None else self._preferred.get(known.symbol)

    def _of_feature(self, feature: Feature) -> ShownUnit:
        wanted = feature.display_unit
        return _into(
            feature.unit, find_unit(wanted) if wanted else self._preferred_to(feature.unit)
        )

    def _of_quantity(self, quantity: Quantity) -> ShownUnit:
        """Show a sum or difference as that of its parts as they are shown.

        The zeros of two temperatures cancel out in their difference. What else is computed has
        no zero that is known: 10 °C times 2 says nothing.
        """
        unit, sign = quantity.unit, _SIGNS.get(quantity.kind)
        parts = [self.of(name) for name in quantity.of]
        if sign is None or any(part.unit != unit for part in parts):
            shown = _into(unit, self._preferred_to(unit))
            return shown if shown.offset == 0.0 else ShownUnit(unit, unit)
        first, *others = parts
        if any(part.symbol != first.symbol for part in others):
            return ShownUnit(unit, unit)
        offset = first.offset + sign * sum(part.offset for part in others)
        return ShownUnit(unit, first.symbol, first.scale, quantity.factor * offset)


def _into(symbol: str, target: Unit | None) -> ShownUnit:
    unit = find_unit(symbol)
    if unit is None or target is None or target == unit:
        return ShownUnit(symbol, symbol)
    return ShownUnit(
        symbol, target.symbol, unit.scale / target.scale,
        (unit.offset - target.offset) / target.scale,
    )  # fmt: skip
