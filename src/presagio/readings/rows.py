"""Row by row: what is taken, and every fault of what is not.

This is the whole truth of what a row may be. The fast path of text files
(``ingest.text.fast_path``) takes most rows without coming here, and must never take one that this
would refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from presagio.machine.columns import ColumnMatch
from presagio.readings.rules import EXTRA, Fault, RowCheck

# Columns of our own beside the spec's names, which begin with a letter.
LINE, RAW = "@line", "@raw"
FAULT = pl.Struct({"column": pl.String, "reason": pl.String, "message": pl.String})
REJECTED_SCHEMA = pl.Schema({"line": pl.Int64(), "faults": pl.List(FAULT), "raw": pl.String()})

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
    # Flat columns first: a list of dictionaries a row takes Polars ten times as long.
    told = pl.DataFrame(
        {
            "row": [row for row, _ in faults],
            "column": [fault.column for _, fault in faults],
            "reason": [fault.reason for _, fault in faults],
            "message": [fault.message for _, fault in faults],
        },
        schema={"row": pl.Int64, **dict(FAULT.to_schema())},
    )
    by_row = (
        told.sort("row", maintain_order=True)
        .group_by("row", maintain_order=True)
        .agg(pl.struct("column", "reason", "message").alias("faults"))
    )
    texts = pl.DataFrame({"line": lines, "raw": raws}, schema={"line": pl.Int64, "raw": pl.String})
    return texts.with_columns(by_row["faults"]).select(REJECTED_SCHEMA.names())


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
    contradictions
        How many numbers cannot be read with the file's mark before decimals, and can with another.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    suspects: dict[str, int]
    contradictions: int = 0


def _rejected(
    cells: pl.DataFrame, broken: pl.DataFrame, clean: pl.Series, check: RowCheck
) -> pl.DataFrame:
    position = {row: i for i, row in enumerate((~clean).arg_true())}
    faults: list[tuple[int, Fault]] = []
    often = broken.sum().row(0)
    for i, rule in enumerate(check.rules):
        if not often[i]:
            continue
        found = broken[str(i)].arg_true()
        # A contradiction is about several columns, so there may be none of that name.
        shown = cells[rule.column].gather(found) if rule.column in cells.columns else found
        faults += [
            (position[row], rule.fault(str(cell))) for row, cell in zip(found, shown, strict=True)
        ]
    told = cells.select(LINE, RAW).filter(~clean)
    return rejected_rows(told[LINE].to_list(), told[RAW].to_list(), faults)


def check_cells(cells: pl.DataFrame, check: RowCheck) -> CheckedRows:
    """Check rows of text cells.

    Parameters
    ----------
    cells
        The file's columns by the spec's names, all text, ``extra`` where it has other columns,
        ``@line`` and ``@raw``.
    check
        The checks.

    Returns
    -------
    CheckedRows
        Each row once, either accepted or rejected.
    """
    names = sorted(check.match.found)
    cells = cells.with_columns(pl.col(names).str.strip_chars())
    broken = (
        cells.lazy()  # Finds out what rules have in common.
        .select(
            rule.broken.fill_null(value=False).alias(str(i)) for i, rule in enumerate(check.rules)
        )
        .collect()
    )
    clean = ~broken.select(pl.any_horizontal(pl.all())).to_series()
    rejected = _rejected(cells, broken, clean, check)
    suspects = cells.select(check.suspects).row(0, named=True) if check.suspects else {}
    accepted = cells.filter(clean).select(*check.typed, LINE, RAW)
    contradictions = int(cells.filter(~clean).select(check.contradictions).item())
    return CheckedRows(accepted, rejected, suspects, contradictions)


def extra_column(position: int) -> str:
    """Return the name under which a frame of cells has a column that the spec does not know."""
    return f"@{position}"


def extra_cells(match: ColumnMatch) -> pl.Expr:
    """Gather the cells that the spec does not know into one JSON object of text, as ``extra``."""
    fields = [pl.col(extra_column(i)).alias(name) for i, name in match.extras.items()]
    return pl.struct(fields).struct.json_encode().alias(EXTRA)
