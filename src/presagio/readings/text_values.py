"""Values in cells of text, as Polars expressions: numbers and flags as people write them."""

from collections.abc import Iterable

import polars as pl

from presagio.machine.inputs import Label
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


def one_of(text: pl.Expr, words: Iterable[str]) -> pl.Expr:
    """Tell where stripped text is one of some words, in any case of letters."""
    return text.str.to_lowercase().is_in([known.strip().lower() for known in words])


def flag_of(text: pl.Expr, number: pl.Expr, label: Label | None = None) -> pl.Expr:
    """Return the flags that stripped text writes, with its numbers; null where it is none.

    A label may have words of its own.
    """
    true, false = (label.true_words, label.false_words) if label else ((), ())
    is_true = one_of(text, (*TRUE_WORDS, *true)) | (number == 1)
    is_false = one_of(text, (*FALSE_WORDS, *false)) | (number == 0)
    return pl.when(is_true).then(True).when(is_false).then(False)  # noqa: FBT003


def flag_in(label: Label) -> pl.Expr:
    """Return a label's column of text as booleans, null where a cell is no flag."""
    text = pl.col(label.name).str.strip_chars()
    return flag_of(text, number_in(text), label)
