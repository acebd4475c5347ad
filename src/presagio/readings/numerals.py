"""How numbers are written: the mark before decimals, separators of thousands, and their doubles."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MARKS = (".", ",")
_SPACES = " '\u2019\u00a0\u202f"
THOUSANDS = r"^[+-]?[0-9]{1,3}([., '\u2019\u00a0\u202f][0-9]{3})+([.,][0-9]+)?$"
_SIGN = "^[+-]?"


def other_mark(mark: str) -> str:
    """Return the mark that stands between thousands where ``mark`` stands before decimals."""
    return MARKS[1 - MARKS.index(mark)]


def number_pattern(mark: str) -> str:
    """Return what a number is: stricter than ``float()``, no nan, no inf, no 1_000, ASCII only."""
    point = r"\." if mark == "." else mark
    return rf"^[+-]?([0-9]+{point}?[0-9]*|{point}[0-9]+)([eE][+-]?[0-9]+)?$"


def either_form(text: "pl.Expr", mark: str) -> "pl.Expr":
    """Tell where a mark may stand before decimals as well as between thousands."""
    return text.str.contains(_either_pattern(mark))


def _either_pattern(mark: str) -> str:
    return rf"{_SIGN}[1-9][0-9]{{0,2}}\{mark}[0-9]{{3}}$"


def written(number: float) -> str:
    """Write a number with a point so that it reads as the same one, and in no other way."""
    text = repr(number)
    return f"{text}0" if re.search(_either_pattern("."), text) else text


def decimal_form(text: "pl.Expr", mark: str) -> "pl.Expr":
    """Tell where the form of a number leaves no other reading than a mark before decimals."""
    point, group = rf"\{mark}", rf"\{other_mark(mark)}"
    plain = rf"([0-9]+{point}[0-9]*|{point}[0-9]+)([eE][+-]?[0-9]+)?"
    grouped = rf"[0-9]{{1,3}}([{group}{_SPACES}][0-9]{{3}})+{point}[0-9]*"
    groups = rf"[0-9]{{1,3}}({group}[0-9]{{3}}){{2,}}"
    found = text.str.contains(rf"{_SIGN}({plain}|{grouped}|{groups})$")
    return found & ~either_form(text, mark)
