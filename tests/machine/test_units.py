import polars as pl
import pytest

from presagio.machine.units import alternatives, convert, find_unit, split_header


@pytest.mark.parametrize(
    ("written", "symbol"),
    [
        ("K", "K"), ("k", "K"), ("°C", "°C"), ("ºC", "°C"), ("℃", "°C"), ("C", "°C"),
        ("°F", "°F"), ("Nm", "Nm"), ("N·m", "Nm"), ("N m", "Nm"), ("N⋅m", "Nm"), ("NM", "Nm"),
        ("rpm", "rpm"), ("RPM", "rpm"), ("r/min", "rpm"), ("min", "min"), ("h", "h"),
    ],
)  # fmt: skip
def test_a_unit_is_known_however_it_is_spelled(written: str, symbol: str) -> None:
    unit = find_unit(written)
    assert unit is not None
    assert unit.symbol == symbol


@pytest.mark.parametrize("written", ["", "bar", "m", "lbf ft"])
def test_what_is_no_unit_of_ours(written: str) -> None:
    assert find_unit(written) is None


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("Air temperature [°C]", ("Air temperature", "°C")),
        ("Air temperature (K)", ("Air temperature", "K")),
        ("Torque Nm", ("Torque", "Nm")),
        ("airtemperature_k", ("airtemperature", "k")),
        ("Rotational speed", ("Rotational speed", None)),
        ("Pressure [bar]", ("Pressure", "bar")),
        ("K", ("K", None)),
    ],
)
def test_a_header_is_a_name_and_a_unit(header: str, parts: tuple[str, str | None]) -> None:
    assert split_header(header) == parts


@pytest.mark.parametrize(
    ("value", "unit", "into", "expected"),
    [
        (25.3, "°C", "K", 298.45), (77.0, "°F", "K", 298.15), (300.0, "K", "°C", 26.85),
        (1.5, "h", "min", 90.0), (0.1, "°C", "K", 273.25),
    ],
)  # fmt: skip
def test_readings_are_converted_without_binary_noise(
    value: float, unit: str, into: str, expected: float
) -> None:
    known, wanted = find_unit(unit), find_unit(into)
    assert known is not None
    assert wanted is not None
    frame = pl.DataFrame({"x": [value]}).select(convert(pl.col("x"), known, wanted))
    assert frame.item() == expected


def test_other_units_of_the_same_kind() -> None:
    assert [unit.symbol for unit in alternatives("K")] == ["°C", "°F"]
    assert alternatives("Nm") == ()
    assert alternatives("bar") == ()
