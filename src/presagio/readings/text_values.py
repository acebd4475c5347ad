"""Values in cells of text, as Polars expressions: numbers and flags as people write them."""

import polars as pl

from presagio.readings.numerals import number_pattern
from presagio.readings.rules import FALSE_WORDS, LONGEST_VALUE, TRUE_WORDS


def bounded(name: str) -> pl.Expr:
    """Return a column of text without white space around it; null where it is too long.

    What comes as null is a gap, and has to be made empty text before.
    """
    text = pl.col(name)
    return pl.when(text.str.len_bytes() <= LONGEST_VALUE).then(text.str.strip_chars()).alias(name)


def number_in(text: pl.Expr, mark: str = ".") -> pl.Expr:
    """Return the numbers that stripped text writes, null where it is none."""
    pointed = text.str.replace(mark, ".", literal=True) if mark != "." else text
    is_number = text.str.contains(number_pattern(mark))
    return pl.when(is_number).then(pointed.cast(pl.Float64, strict=False))


def flag_of(text: pl.Expr, number: pl.Expr) -> pl.Expr:
    """Return the flags that stripped text writes, with its numbers; null where it is none."""
    folded = text.str.to_lowercase()
    is_true = folded.is_in(TRUE_WORDS) | (number == 1)
    is_false = folded.is_in(FALSE_WORDS) | (number == 0)
    return pl.when(is_true).then(True).when(is_false).then(False)  # noqa: FBT003


def flag_in(name: str) -> pl.Expr:
    """Return a column of text as booleans, null where a cell is no flag."""
    text = pl.col(name).str.strip_chars()
    return flag_of(text, number_in(text))
