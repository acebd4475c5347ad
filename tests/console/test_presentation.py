from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from presagio.console.catalogue import Catalogue
from presagio.console.presentation import Presentation, read_units
from presagio.errors import SettingsError
from presagio.machine.spec import parse_spec


def shows(language: str, *units: str) -> Presentation:
    return Presentation(Catalogue(language), ZoneInfo("Europe/Madrid"), read_units(units))


def test_spanish_has_a_decimal_comma() -> None:
    assert shows("es").number(1234567.891, 2) == "1.234.567,89"
    assert shows("en").number(1234567.891, 2) == "1,234,567.89"
    assert shows("es").percent(0.0731, 1) == "7,3 %"
    # What is not certain is not written as if it were.
    shares = (0.0, 0.002, 0.0051, 0.994, 0.998, 1.0)
    assert [shows("en").percent(share) for share in shares] == [
        "0 %", "< 1 %", "1 %", "99 %", "> 99 %", "100 %",
    ]  # fmt: skip
    assert shows("es").percent(0.9999, 1) == "> 99,9 %"


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_what_is_not_known_is_a_dash(nothing: float | None) -> None:
    show = shows("en")
    assert {show.number(nothing), show.percent(nothing), show.measured(nothing, "K")} == {"\u2013"}
    assert show.moment(None) == "\u2013"


def test_readings_are_shown_with_their_units() -> None:
    assert shows("es").measured(27.1, "°C") == "27,1 °C"
    assert shows("en").measured(1390, "rpm") == "1,390 rpm"
    assert shows("en").measured(7.5) == "7.5"


def test_the_setting_says_the_unit_where_the_spec_does_not() -> None:
    text = 'name = "press"\ntitle = "Press"\n[target]\nname = "failed"\n'
    text += '[[features]]\nname = "oil"\nunit = "K"\n[[features]]\nname = "air"\nunit = "K"\n'
    spec = parse_spec(f'{text}display_unit = "°C"\n'.encode(), "press.toml")
    units = shows("en", "kelvin=fahrenheit").units_of(spec)
    assert (units.of("oil").symbol, units.of("air").symbol) == ("°F", "°C")
    assert shows("en").units_of(spec).of("oil").symbol == "K"


@pytest.mark.parametrize("pair", ["K", "K=", "K=rpm", "kelvins=°C", "=°C"])
def test_units_that_are_none_stop_the_program(pair: str) -> None:
    with pytest.raises(SettingsError, match="UNIT=UNIT of one dimension"):
        read_units((pair,))


def test_times_are_those_of_the_plant() -> None:
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert shows("en").moment(noon) == "1 Jul 2026, 14:00"
    assert shows("es").moment(noon) == "1 jul 2026, 14:00"
    assert shows("en").machine_time(noon) == "2026-07-01T12:00:00+00:00"
    assert shows("es").ago(noon, datetime(2026, 7, 1, 15, 0, tzinfo=UTC)) == "hace 3 horas"


def test_digits_that_say_something_are_kept() -> None:
    show = shows("en")
    assert [show.significant(value) for value in (0.0012345, 12.345, 123456.0, 0.0)] == [
        "0.00123", "12.3", "123,456", "0",
    ]  # fmt: skip
