"""One rule of a reading for a table of cells: which rows break it, and what is said of them."""

from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from presagio.readings.allowed import NOTHING, WITHOUT_NUL, long_value
from presagio.readings.rules import LONGEST_VALUE, Reason, around

_SHOWN = 40
_GAP = str(NOTHING)
_NUL, _SHOWN_NUL = "\0", "\u2400"


class Kind(NamedTuple):
    """A kind of fault that is told by the text of the cell, and what may stand there."""

    pattern: str
    reason: Reason
    allowed: str


@dataclass(frozen=True)
class Rule:
    """Something that a row may break.

    Attributes
    ----------
    column, reason
        Where, and what kind of fault it is.
    broken
        True for the rows that break it; null counts as false.
    allowed
        What may stand there, in words.
    got
        What came; the cell itself where it is None.
    kinds
        More exact kinds of the fault; the first whose pattern the cell has.
    """

    column: str
    reason: Reason
    broken: pl.Expr
    allowed: str
    got: str | None = None
    kinds: tuple[Kind, ...] = ()

    def faults(self, cells: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
        """Return the faults of some rows, given by their positions: column, reason, message."""
        if self.got is None:
            got = cells[self.column].gather(rows)
        else:
            got = pl.Series([self.got]).new_from_index(0, len(rows))
        # A contradiction is about several columns: they are in what came.
        where = "" if self.reason is Reason.CONTRADICTION else self.column
        before, after = around(where, self.allowed)
        reason, end = pl.lit(str(self.reason)), pl.lit(after)
        for kind in reversed(self.kinds):
            found = pl.col("got").str.contains(kind.pattern)
            reason = pl.when(found).then(pl.lit(str(kind.reason))).otherwise(reason)
            end = pl.when(found).then(pl.lit(around("", kind.allowed)[1])).otherwise(end)
        return pl.DataFrame({"got": got}).select(
            pl.lit(self.column).alias("column"),
            reason.alias("reason"),
            pl.concat_str(pl.lit(before), _shown(pl.col("got")), end).alias("message"),
        )


def _shown(text: pl.Expr) -> pl.Expr:
    """Cut text for a message, which the ledger keeps: no NUL is in it."""
    return text.str.slice(0, _SHOWN).str.replace_all(_NUL, _SHOWN_NUL, literal=True)


def nul_rule(column: str) -> Rule:
    """Return the rule of text that is kept as it is: every character is one that can be kept."""
    broken = pl.col(column).str.contains(_NUL, literal=True)
    return Rule(column, Reason.NUL_CHARACTER, broken, str(WITHOUT_NUL))


def value_rules(column: str, allowed: str, *, optional: bool = False) -> list[Rule]:
    """Return the rules that hold for any value: there is one, unless it is optional; none is long.

    Cells are those of :func:`.text_values.bounded`: null stands for one that is too long.
    """
    raw = pl.col(column)
    long = str(long_value(LONGEST_VALUE))
    rules = [Rule(column, Reason.TOO_LONG, raw.is_null(), allowed, long)]
    if not optional:
        rules.insert(0, Rule(column, Reason.MISSING, raw == "", allowed, _GAP))
    return rules
