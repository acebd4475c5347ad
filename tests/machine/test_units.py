import polars as pl
import pytest

from presagio.machine.units import alternatives, convert, find_unit, split_header
from tests.growth import LINEAR, growth


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


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("a [b [c]", ("a", "b [c")),
        ("a [b] [c]", ("a [b]", "c")),
        ("a [b)", ("a [b)", None)),
        ("[K]", ("", "K")),
        ("a\n\n[ K ]", ("a", "K")),
        ("torque_ nm", ("torque_", "nm")),
        ("torque__nm", ("torque_", "nm")),
        ("_nm", ("_nm", None)),
        ("", ("", None)),
    ],
)
def test_odd_headers_are_split_at_the_last_unit(header: str, parts: tuple[str, str | None]) -> None:
    assert split_header(header) == parts


@pytest.mark.parametrize(
    "part", ["[", "]", "(", ")", "[a", "[]", " ", "_", "a ", "a_", "a _", "K ", "·", "\u3000", "ﷺ"]
)
@pytest.mark.parametrize("end", ["", "x", "]", "K", "[K"])
def test_time_is_linear_in_the_length_of_a_name(part: str, end: str) -> None:
    assert growth(lambda n: "a" + part * n + end, split_header, 4000) < LINEAR
