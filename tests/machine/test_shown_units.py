"""In which unit people see a reading: as the spec says, else as the plant prefers."""

import numpy as np
import pytest

from presagio.machine.shown_units import ShownUnit, ShownUnits
from presagio.machine.spec import MachineSpec, load_spec, parse_spec
from presagio.machine.units import Unit, find_unit

_FEATURE = """
[[features]]
name = "{name}"
unit = "{unit}"
{shown}
"""
_QUANTITY = """
[[quantities]]
name = "{kind}"
unit = "{unit}"
kind = "{kind}"
of = ["a", "b"]
factor = {factor}
"""


def _spec(
    *features: tuple[str, str, str], kind: str = "difference", unit: str = "K", factor: float = 1.0
) -> MachineSpec:
    """Return a spec of features (name, unit, display unit) with one quantity of ``a`` and ``b``."""
    text = 'name = "press"\ntitle = "Press"\n[target]\nname = "failed"\n'
    for name, measured, shown in features:
        line = f'display_unit = "{shown}"' if shown else ""
        text += _FEATURE.format(name=name, unit=measured, shown=line)
    text += _QUANTITY.format(kind=kind, unit=unit, factor=factor)
    return parse_spec(text.encode(), "press.toml")


def _prefer(**pairs: str) -> dict[str, Unit]:
    return {unit: found for unit, into in pairs.items() if (found := find_unit(into)) is not None}


_AS_SAID = (("a", "K", "°C"), ("b", "K", "°C"))
_SILENT = (("a", "K", ""), ("b", "K", ""))


@pytest.mark.parametrize(
    ("stated", "preferred", "shown"),
    [
        ("°C", "", (26.85, "°C")),
        ("°C", "°F", (26.85, "°C")),
        ("K", "°C", (300.0, "K")),
        ("", "°C", (26.85, "°C")),
        ("", "°F", (80.33, "°F")),
        ("", "", (300.0, "K")),
    ],
)
def test_the_spec_says_it_and_the_plant_where_the_spec_does_not(
    stated: str, preferred: str, shown: tuple[float, str]
) -> None:
    units = ShownUnits(_spec(("a", "K", stated), ("b", "K", stated)), _prefer(K=preferred))
    found = units.of("a")
    assert found.symbol == shown[1]
    assert found.reading(300.0) == pytest.approx(shown[0])
    assert found.from_shown(found.reading(300.25)) == 300.25


def test_the_temperatures_of_the_spec_that_ships_are_in_celsius() -> None:
    units = ShownUnits(load_spec())
    assert units.of("airtemperature_k").symbol == "°C"
    assert units.of("process_temperature_k").symbol == "°C"
    assert units.of("temperature_difference") == ShownUnit("K", "°C")
    assert units.of("rotational_speed_rpm") == ShownUnit("rpm", "rpm")
    assert units.of("power") == ShownUnit("W", "W")


def test_how_far_readings_are_apart_has_no_zero() -> None:
    found = ShownUnits(_spec(("a", "K", "°F"), ("b", "K", "°F"))).of("a")
    assert found.difference(10.0) == pytest.approx(18.0)
    np.testing.assert_allclose(found.reading(np.array([273.15, np.nan])), [32.0, np.nan])
    np.testing.assert_allclose(found.difference(np.array([-5.0])), [-9.0])


@pytest.mark.parametrize("features", [_AS_SAID, _SILENT])
@pytest.mark.parametrize(
    ("kind", "factor", "reading", "shown"),
    [
        # 310 K above 300 K; the mean and the sum of 20 °C and 30 °C.
        ("difference", 1.0, 10.0, (10.0, "°C")),
        ("sum", 0.5, 298.15, (25.0, "°C")),
        ("sum", 1.0, 596.3, (50.0, "°C")),
        # Nobody knows where its zero lies.
        ("product", 0.01, 900.0, (900.0, "K")),
    ],
)
def test_a_quantity_is_what_is_computed_from_readings_as_they_are_shown(
    features: tuple[tuple[str, str, str], ...], kind: str, factor: float, reading: float,
    shown: tuple[float, str],
) -> None:  # fmt: skip
    units = ShownUnits(_spec(*features, kind=kind, factor=factor), _prefer(K="°C"))
    found = units.of(kind)
    assert found.symbol == shown[1]
    assert found.reading(reading) == pytest.approx(shown[0])


def test_a_quantity_of_readings_that_are_shown_in_different_units_stays_as_it_is() -> None:
    units = ShownUnits(_spec(("a", "K", "°C"), ("b", "K", "°F")))
    assert units.of("difference") == ShownUnit("K", "K")


def test_what_has_a_unit_without_a_zero_of_its_kind_is_shown_as_preferred() -> None:
    spec = _spec(("a", "rpm", ""), ("b", "rpm", ""), kind="ratio", unit="min")
    found = ShownUnits(spec, _prefer(min="h")).of("ratio")
    assert (found.symbol, found.reading(90.0)) == ("h", 1.5)


def test_a_value_that_is_in_another_unit_than_the_specs_is_shown_as_it_is() -> None:
    units = ShownUnits(_spec(*_AS_SAID))
    assert units.of("a", "K").symbol == "°C"
    assert units.of("a", "bar") == ShownUnit("bar", "bar")
    assert units.of("nobody", "bar") == ShownUnit("bar", "bar")
    assert units.of(None) == units.of("nobody") == ShownUnit("", "")


def test_what_is_shown_as_it_is_keeps_every_digit() -> None:
    assert ShownUnit("mm", "mm").from_shown(1.2345e-12) == 1.2345e-12
