"""The table of cases: what a value may be, in each form that a door takes it in, and the verdict.

A verdict is a reason code, or an empty text for a value that is taken.
"""

import math
from typing import Any, NamedTuple

import polars as pl

# The columns of the ai4i2020 spec that the cases are about.
NUMBER, FLAG, CATEGORY = "torque_nm", "type_l", "type"
# A key that is not there.
ABSENT = "(no such key)"
_LONG = 300

_NUMBERS_IN_TEXT = {
    "": (
        "40", "40.0", "+40.0", "40.", "4e1", ".4e2", "4E+1", "400e-1", "0040", " 40 ", "\t40",
        "\u00a040\u00a0", "150", "150.0", "149.9999999", "0", "-0", "-0.0", "1e-400", "0.000001",
        "1.551", "12.345",
    ),
    "missing": ("", " ", "   ", "\u00a0", "\u2003"),
    "not_a_number": (
        "nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1_0", "\uff14\uff10", "\u0664\u0660",
        "0x28", "40 Nm", "40%", "--1", "+-1", "e5", ".", "+", "-", "1e", "1 e5", "1e5.0", "1.5.2",
        "4 0", "L", "true", "no", "NULL", "null", "None", "NA", "N/A", "n/a", "?", "=40",
        "'40", "40\u2212", "1/2", "4O", "[40]", "{}", "fast",
    ),
    "thousands_separator": (
        "1,551", "1.551,0", "1 551", "1'551", "1\u00a0551", "1\u202f551", "1,551,000.5",
    ),
    "decimal_mark": ("1,5", "40,0", ",5", "40,", "-1,25", "4,0e1"),
    "out_of_range": (
        "150.1", "150.0000001", "-0.1", "-1", "1551", "1e308", "1e999", "-1e999", "9" * 200,
    ),
    "too_long": ("0" * _LONG + "40", "40." + "0" * _LONG, "x" * _LONG, " " * _LONG + "40"),
}  # fmt: skip
_FLAGS_IN_TEXT = {
    "": (
        "true", "True", "TRUE", "yes", "Yes", "YES", "1", "1.0", "1.00", "+1", "01", "1e0",
        " true ",
        "false", "False", "FALSE", "no", "NO", "0", "0.0", "0.00", "-0", "00", "\u00a0no",
    ),
    "missing": ("", " ", "\u00a0"),
    "not_a_boolean": (
        "2", "-1", "0.5", "1.5", "10", "t", "f", "y", "n", "on", "off", "x", "truth", "true.",
        "yes!", "nan", "inf", "null", "None", "NA", "maybe", "ja", "s\u00ed", "1 0", "\uff11",
        "TRUE FALSE", "wahr", "1,0", "0,0",
    ),
    "too_long": ("0" * _LONG, "true" + " " * _LONG),
}  # fmt: skip
_CATEGORIES_IN_TEXT = {
    "": ("L", "l", " L ", "M", "m", "H", "h\u00a0"),
    "missing": ("", " ", "\u00a0"),
    "unknown_category": ("X", "LM", "L|M", "L M", "1", "true", "low", "\u00c5", "null", "Type L"),
    "too_long": ("L" * _LONG,),
}
# Literals of JSON.
_NUMBERS_IN_JSON = {
    "": ("40", "40.0", "4e1", "400E-1", "0", "-0", "-0.0", "150", "149.9999999", "1e-400"),
    "missing": ("null", ABSENT),
    "not_a_number": (
        '"40"', '"40.0"', '""', '" "', '"L"', '"nan"', '"1,5"', "true", "false", "[]", "{}", "[40]",
        '{"a":40}', "NaN", '"' + "x" * _LONG + '"',
    ),
    "out_of_range": (
        "150.1", "-0.1", "-1", "1551", "1e308", "1e999", "-1e999", "Infinity", "-Infinity",
        "9" * 400,
    ),
}  # fmt: skip
_FLAGS_IN_JSON = {
    "": ("true", "false", "1", "0", "1.0", "0.0", "1e0", "-0", "-0.0"),
    "missing": ("null", ABSENT),
    "not_a_boolean": (
        '"true"', '"false"', '"yes"', '"1"', '""', "2", "-1", "0.5", "1e999", "NaN", "[]", "{}",
        "[true]", "9" * 400,
    ),
}  # fmt: skip
_CATEGORIES_IN_JSON = {
    "": ('"L"', '"l"', '" M "', '"H"'),
    "missing": ("null", '""', '" "'),
    "unknown_category": ('"X"', '"L|M"', "1", "true", "[]", "{}", '["L"]'),
}


class Typed(NamedTuple):
    """A value of a column that has a type: the value, and Polars' type."""

    value: Any
    kind: Any


_F64, _F32, _INT, _BOOL = pl.Float64, pl.Float32, pl.Int64, pl.Boolean
_NUMBERS_TYPED = {
    "": (
        Typed(40.0, _F64), Typed(40, _INT), Typed(40.0, _F32), Typed(40, pl.UInt8),
        Typed(-0.0, _F64), Typed(150.0, _F64), Typed(0, _INT),
    ),
    "missing": (Typed(None, _F64), Typed(None, _INT), Typed(None, pl.Null)),
    "not_a_number": (
        Typed(math.nan, _F64), Typed(math.nan, _F32), Typed(True, _BOOL), Typed(False, _BOOL),  # noqa: FBT003
    ),
    "out_of_range": (
        Typed(150.1, _F64), Typed(-1, _INT), Typed(1e308, _F64), Typed(math.inf, _F64),
        Typed(-math.inf, _F64), Typed(math.inf, _F32), Typed(2**62, _INT),
        # 150 and a little, as 32 bits have it.
        Typed(150.00002, _F32),
    ),
}  # fmt: skip
_FLAGS_TYPED = {
    "": (
        Typed(True, _BOOL), Typed(False, _BOOL), Typed(1, _INT), Typed(0, _INT), Typed(1.0, _F64),  # noqa: FBT003
        Typed(0.0, _F32), Typed(-0.0, _F64), Typed(1, pl.UInt8),
    ),
    "missing": (Typed(None, _BOOL), Typed(None, _INT), Typed(None, pl.Null)),
    "not_a_boolean": (
        Typed(2, _INT), Typed(-1, _INT), Typed(0.5, _F64), Typed(math.nan, _F64),
        Typed(math.inf, _F64),
    ),
}  # fmt: skip


class Case(NamedTuple):
    """A value in a column, and the verdict; ``other`` is that of the category's other indicator."""

    column: str
    value: Any
    verdict: str
    other: Any = None


def _listed(column: str, table: dict[str, tuple[Any, ...]]) -> list[Case]:
    return [Case(column, value, verdict) for verdict, found in table.items() for value in found]


TEXT = [
    *_listed(NUMBER, _NUMBERS_IN_TEXT), *_listed(FLAG, _FLAGS_IN_TEXT),
    *_listed(CATEGORY, _CATEGORIES_IN_TEXT),
]  # fmt: skip
JSON = [
    *_listed(NUMBER, _NUMBERS_IN_JSON), *_listed(FLAG, _FLAGS_IN_JSON),
    *_listed(CATEGORY, _CATEGORIES_IN_JSON),
]  # fmt: skip
TYPED = [*_listed(NUMBER, _NUMBERS_TYPED), *_listed(FLAG, _FLAGS_TYPED)]
# Both indicators of a reading, by form.
CONTRADICTIONS = {
    "text": [
        Case(FLAG, one, "contradiction", other)
        for one, other in (("true", "true"), ("1", "yes"), ("TRUE", "1.0"))
    ],
    "json": [
        Case(FLAG, one, "contradiction", other)
        for one, other in (("true", "true"), ("1", "true"), ("1", "1.0"))
    ],
    "typed": [
        Case(FLAG, Typed(True, _BOOL), "contradiction", True),  # noqa: FBT003
        Case(FLAG, Typed(1, _INT), "contradiction", 1),
        Case(FLAG, Typed(1.0, _F64), "contradiction", True),  # noqa: FBT003
    ],
}
