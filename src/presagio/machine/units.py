"""Units that a header may name, and how readings in them become readings in the spec's unit."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# Two temperatures in °C differ by binary noise once they are in K; no sensor reads this finely.
_DECIMALS = 9


@dataclass(frozen=True)
class Unit:
    """A unit; ``value * scale + offset`` is the value in the base unit of its dimension."""

    symbol: str
    dimension: str
    scale: float = 1.0
    offset: float = 0.0
    spellings: tuple[str, ...] = ()


_UNITS = (
    Unit("K", "temperature", spellings=("kelvin",)),
    Unit("°C", "temperature", offset=273.15, spellings=("c", "celsius", "degc")),
    Unit(
        "°F", "temperature", scale=5 / 9, offset=459.67 * 5 / 9,
        spellings=("f", "fahrenheit", "degf"),
    ),
    Unit("Nm", "torque"),
    Unit("rpm", "rotation", spellings=("r/min", "rev/min", "1/min")),
    Unit("min", "time", spellings=("minutes", "minutos")),
    Unit("h", "time", scale=60.0, spellings=("hours", "horas")),
)  # fmt: skip


def _fold(text: str) -> str:
    """Spell a unit one way: ``N·m``, ``N m`` and ``Nm`` are one, as are the two degree signs."""
    return re.sub(r"[\s·⋅∙•*.]", "", text.replace("º", "°").replace("℃", "°c")).casefold()


_BY_SPELLING = {
    _fold(spelling): unit for unit in _UNITS for spelling in (unit.symbol, *unit.spellings)
}


def find_unit(text: str) -> Unit | None:
    """Return the unit that a text names, or None."""
    return _BY_SPELLING.get(_fold(text))


def _split_brackets(text: str) -> tuple[str, str] | None:
    """Split ``Torque [Nm]`` or ``Torque (Nm)``; None for a text that does not end in brackets.

    Searches from fixed positions: a pattern with two open ends takes quadratic time.
    """
    for opening, closing in ("[]", "()"):
        if text.endswith(closing):
            earlier = text.rfind(closing, 0, -1)
            start = text.find(opening, earlier + 1)
            if start >= 0:
                return text[:start].rstrip(), text[start + 1 : -1].strip()
    return None


def split_header(header: str) -> tuple[str, str | None]:
    """Split a column's header into its name and the unit that it names.

    A unit stands in brackets (``Torque [Nm]``, ``Torque (Nm)``), or it is the last word
    (``Torque Nm``, ``torque_nm``).

    Returns
    -------
    tuple
        Name, and unit as it is written; None where no unit is named.
    """
    text = header.strip()
    if (parts := _split_brackets(text)) is not None:
        return parts
    # What follows the last separator: no spelling of a unit holds one.
    words = text.rsplit(maxsplit=1)
    unit = words[-1].rpartition("_")[2] if words else ""
    name = text[: -len(unit) - 1].rstrip()
    if name and find_unit(unit):
        return name, unit
    return text, None


def convert(reading: "pl.Expr", unit: Unit, into: Unit) -> "pl.Expr":
    """Convert readings from one unit into another of the same dimension."""
    base = reading * unit.scale + unit.offset
    return ((base - into.offset) / into.scale).round(_DECIMALS)


def alternatives(symbol: str) -> tuple[Unit, ...]:
    """Return the other units of the same dimension; none for a unit that is not known."""
    unit = find_unit(symbol)
    if unit is None:
        return ()
    return tuple(o for o in _UNITS if o.dimension == unit.dimension and o != unit)


def display_units(symbol: str) -> tuple[str, ...]:
    """Return the symbols of the units that readings in a unit can be shown in, itself first."""
    return (symbol, *(other.symbol for other in alternatives(symbol)))
