"""Row by row: what is taken, and every fault of what is not.

This is the whole truth of what a row may be. The fast path of text files
(``ingest.text.fast_path``) takes most rows without coming here, and must never take one that this
would refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from presagio.machine.columns import ColumnMatch
from presagio.readings.row_check import EXTRA, RowCheck
from presagio.readings.row_rule import Rule
from presagio.readings.rules import Fault

# Columns of our own beside the spec's names, which begin with a letter.
LINE, RAW = "@line", "@raw"
_FAULT = pl.Struct({"column": pl.String, "reason": pl.String, "message": pl.String})
REJECTED_SCHEMA = pl.Schema({"line": pl.Int64(), "faults": pl.List(_FAULT), "raw": pl.String()})

_FOUND_SCHEMA = pl.Schema({"row": pl.Int64(), **dict(_FAULT.to_schema())})
NO_REJECTED = REJECTED_SCHEMA.to_frame()


def rejected_rows(
    lines: Sequence[int], raws: Sequence[str], faults: Sequence[tuple[int, Fault]]
) -> pl.DataFrame:
    """Make a frame of rejected rows: ``line``, ``faults`` (column, reason, message), ``raw``.

    Parameters
    ----------
    lines, raws
        The number and the text of each row.
    faults
        Each fault with the position of its row in ``lines``; every row has one at least.
    """
    found = pl.DataFrame(
        {
            "row": [row for row, _ in faults],
            "column": [fault.column for _, fault in faults],
            "reason": [fault.reason for _, fault in faults],
            "message": [fault.message for _, fault in faults],
        },
        schema=_FOUND_SCHEMA,
    )
    texts = pl.DataFrame({"line": lines, "raw": raws}, schema={"line": pl.Int64, "raw": pl.String})
    return _with_faults(texts, found)


def _with_faults(rows: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Put faults, each with the position of its row, beside the rows: a list for each."""
    # Flat columns first: a list of dictionaries a row takes Polars ten times as long.
    by_row = (
        found.sort("row", maintain_order=True)
        .group_by("row", maintain_order=True)
        .agg(pl.struct("column", "reason", "message").alias("faults"))
    )
    return rows.with_columns(by_row["faults"]).select(REJECTED_SCHEMA.names())


@dataclass(frozen=True)
class CheckedRows:
    """Rows that were checked.

    Attributes
    ----------
    accepted
        Clean rows, with the line of each as ``@line`` and, where it is kept, the text as ``@raw``.
    rejected
        The others: ``line``, ``faults``, ``raw``.
    suspects
        ``feature/unit`` → values that are only plausible in that unit.
    other_marks
        How many numbers cannot be read with the file's mark before decimals, and can with another.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    suspects: dict[str, int]
    other_marks: int = 0


def _rejected(
    cells: pl.DataFrame, broken: pl.DataFrame, clean: pl.Series, rules: Sequence[Rule]
) -> pl.DataFrame:
    position = (~clean).cast(pl.Int64).cum_sum() - 1
    found, often = [_FOUND_SCHEMA.to_frame()], broken.sum().row(0)
    for i, rule in enumerate(rules):
        if often[i]:
            rows = broken[str(i)].arg_true()
            faults = rule.faults(cells, rows)
            found.append(faults.select(position.gather(rows).alias("row"), pl.all()))
    rejected = cells.filter(~clean).select(pl.col(LINE).alias("line"), pl.col(RAW).alias("raw"))
    return _with_faults(rejected, pl.concat(found))


def check_cells(cells: pl.DataFrame, check: RowCheck, *, of_file: bool = True) -> CheckedRows:
    """Check rows of text cells.

    Parameters
    ----------
    cells
        The file's columns by the spec's names, all text, ``extra`` where it has other columns,
        ``@line`` and ``@raw``.
    check
        The checks.
    of_file
        Whether ``suspects`` and ``other_marks`` are wanted, for a verdict on the file.

    Returns
    -------
    CheckedRows
        Each row once, either accepted or rejected.
    """
    cells = cells.with_columns(check.cells).with_columns(check.parsed)
    rules = (
        check.rules
        if check.series.other_member is None
        else [check.series.other_member, *check.rules]
    )
    broken = cells.select(
        rule.broken.fill_null(value=False).alias(str(i)) for i, rule in enumerate(rules)
    )
    if check.series.other_member is not None:
        # What a row of another kind lacks is nothing to this fleet.
        broken = broken.with_columns(pl.exclude("0") & ~pl.col("0"))
    clean = ~broken.select(pl.any_horizontal(pl.all())).to_series()
    rejected = _rejected(cells, broken, clean, rules)
    accepted = cells.filter(clean).select(*check.typed, LINE, RAW)
    if not of_file:
        return CheckedRows(accepted, rejected, {})
    suspects = cells.select(check.suspects).row(0, named=True) if check.suspects else {}
    other_marks = int(cells.filter(~clean).select(check.other_marks).item())
    return CheckedRows(accepted, rejected, suspects, other_marks)


def extra_column(position: int) -> str:
    """Return the name under which a frame of cells has a column that the spec does not know."""
    return f"@{position}"


def extra_cells(match: ColumnMatch) -> pl.Expr:
    """Gather the cells that the spec does not know into one JSON object of text, as ``extra``."""
    fields = [pl.col(extra_column(i)).alias(name) for i, name in match.extras.items()]
    return pl.struct(fields).struct.json_encode().alias(EXTRA)
