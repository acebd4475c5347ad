"""Row by row: what is taken, and every fault of what is not.

This is the whole truth of what a row may be. :mod:`presagio.ingest.quick` takes most rows without
coming here, and must never take one that this would refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import polars as pl

from presagio.ingest.records import Record
from presagio.machine.columns import ColumnMatch
from presagio.machine.spec import Category, Feature, MachineSpec
from presagio.machine.units import alternatives, convert, find_unit

# Columns of our own beside the spec's names, which begin with a letter.
LINE, RAW, EXTRA = "@line", "@raw", "extra"
TRUE = ("true", "1", "1.0", "yes")
FALSE = ("false", "0", "0.0", "no")
FAULT = pl.Struct({"column": pl.String, "reason": pl.String, "message": pl.String})
REJECTED_SCHEMA = pl.Schema({"line": pl.Int64(), "faults": pl.List(FAULT), "raw": pl.String()})
_THOUSANDS = r"^[+-]?[0-9]{1,3}([., '\u2019\u00a0\u202f][0-9]{3})+([.,][0-9]+)?$"
_SHOWN = 40
# Never in a message for another reason: text with NUL is refused before.
_CELL = "\0"


def _number_pattern(mark: str) -> str:
    # Stricter than float(): no nan, no inf, no 1_000, ASCII digits only.
    point = r"\." if mark == "." else mark
    return rf"^[+-]?([0-9]+{point}?[0-9]*|{point}[0-9]+)([eE][+-]?[0-9]+)?$"


class Fault(NamedTuple):
    """What is wrong with a row: where, what kind, and in words with what was expected."""

    column: str
    reason: str
    message: str


@dataclass(frozen=True)
class Rule:
    """Something that a row may break.

    Attributes
    ----------
    column, reason
        Where, and what kind of fault it is.
    broken
        True for the rows that break it; null counts as false.
    message
        What was found and what was expected; the cell stands for ``_CELL`` in it.
    """

    column: str
    reason: str
    broken: pl.Expr
    message: str

    def fault(self, cell: str) -> Fault:
        """Say what is wrong with a cell."""
        return Fault(self.column, self.reason, self.message.replace(_CELL, cell[:_SHOWN]))


def _wrong(column: str, reason: str, broken: pl.Expr, expected: str) -> Rule:
    return Rule(column, reason, broken, f"{column} is '{_CELL}'; expected {expected}")


def _empty(column: str, expected: str) -> Rule:
    message = f"{column} is empty; expected {expected}"
    return Rule(column, "missing", pl.col(column) == "", message)


@dataclass(frozen=True)
class RowCheck:
    """The checks of one file's rows, as Polars expressions over cells of text.

    Attributes
    ----------
    spec
        The machine spec.
    match
        Which columns the file has, and in which units.
    mark
        What stands before decimals.
    """

    spec: MachineSpec
    match: ColumnMatch
    mark: str = "."

    def has(self, name: str) -> bool:
        """Tell whether the file has a column."""
        return name in self.match.found

    def _number(self, feature: Feature) -> pl.Expr:
        raw = pl.col(feature.name)
        text = raw.str.replace(self.mark, ".", literal=True) if self.mark != "." else raw
        numeric = raw.str.contains(_number_pattern(self.mark))
        return pl.when(numeric).then(text.cast(pl.Float64, strict=False))

    def in_spec_unit(self, feature: Feature, number: pl.Expr) -> pl.Expr:
        """Convert a feature's numbers from the file's unit into the spec's."""
        unit, into = self.match.units.get(feature.name), find_unit(feature.unit)
        return number if unit is None or into is None else convert(number, unit, into)

    def value(self, feature: Feature) -> pl.Expr:
        """Return a feature's value in the spec's unit, null where the text is no number."""
        return self.in_spec_unit(feature, self._number(feature))

    def _number_rules(self, feature: Feature) -> list[Rule]:
        name, raw, value = feature.name, pl.col(feature.name), self.value(feature)
        low, high = feature.range
        expected = f"a number from {low:g} to {high:g} {feature.unit}"
        if unit := self.match.units.get(name):
            expected += f" (converted from {unit.symbol})"
        other = "." if self.mark == "," else ","
        wrong = (raw != "") & value.is_null()
        thousands = wrong & raw.str.contains(_THOUSANDS)
        other_mark = wrong & ~thousands & raw.str.contains(_number_pattern(other))
        without = f"{expected}, without a separator of thousands"
        return [
            _empty(name, expected),
            _wrong(name, "thousands_separator", thousands, without),
            _wrong(
                name, "decimal_mark", other_mark, f"{expected}, with '{self.mark}' before decimals"
            ),
            _wrong(name, "not_a_number", wrong & ~thousands & ~other_mark, expected),
            _wrong(name, "out_of_range", ~value.is_between(low, high), expected),
        ]

    def _flag_rules(self, name: str) -> list[Rule]:
        raw, expected = pl.col(name), "true or false, 1 or 0"
        known = raw.str.to_lowercase().is_in([*TRUE, *FALSE])
        return [
            _empty(name, expected),
            _wrong(name, "not_a_boolean", (raw != "") & ~known, expected),
        ]

    def _category_rules(self, category: Category) -> list[Rule]:
        name, raw = category.name, pl.col(category.name)
        if self.has(name):
            expected = f"one of {', '.join(category.values)}"
            known = raw.str.to_uppercase().is_in([value.upper() for value in category.values])
            return [
                _empty(name, expected),
                _wrong(name, "unknown_category", (raw != "") & ~known, expected),
            ]
        names = list(category.indicators.values())
        several = pl.sum_horizontal([_is_true(name).cast(pl.Int8) for name in names]) > 1
        both = f"{' and '.join(names)} are both true; expected one of them at most"
        rules = [rule for flag in names for rule in self._flag_rules(flag)]
        return [*rules, Rule(name, "contradiction", several, both)]

    @cached_property
    def rules(self) -> list[Rule]:
        """All that a row may break, in the order in which its faults are named."""
        found = [rule for feature in self.spec.features for rule in self._number_rules(feature)]
        for category in self.spec.categories:
            found += self._category_rules(category)
        for label in self.spec.label_names:
            found += self._flag_rules(label) if self.has(label) else []
        return found

    @cached_property
    def typed(self) -> list[pl.Expr]:
        """The columns of a clean row: identifiers, extras, features, indicators, labels."""
        kept = [pl.col(name) for name in self.kept_text]
        kept += [self.value(feature).alias(feature.name) for feature in self.spec.features]
        return kept + self.flags()

    @property
    def kept_text(self) -> list[str]:
        """Columns that stay text: the identifiers that the file has, and what it has besides."""
        names = [column.name for column in self.spec.identifiers if self.has(column.name)]
        return [*names, EXTRA] if self.match.extras else names

    def flags(self) -> list[pl.Expr]:
        """Return the boolean columns of a clean row: indicators and labels."""
        kept = []
        for category in self.spec.categories:
            for value, indicator in category.indicators.items():
                named = pl.col(category.name).str.to_uppercase() == value.upper()
                kept.append(
                    (named if self.has(category.name) else _is_true(indicator)).alias(indicator)
                )
        return kept + [_is_true(label) for label in self.spec.label_names if self.has(label)]

    @cached_property
    def suspects(self) -> list[pl.Expr]:
        """For each other unit of a feature, how many values only that unit makes plausible.

        The expressions are named ``feature/unit``.
        """
        counts = []
        for feature in self.spec.features:
            into = find_unit(feature.unit)
            number, (low, high) = self._number(feature), feature.range
            outside = ~self.value(feature).is_between(low, high)
            for unit in alternatives(feature.unit):
                if into is not None and unit != self.match.units.get(feature.name):
                    plausible = convert(number, unit, into).is_between(low, high)
                    name = f"{feature.name}/{unit.symbol}"
                    counts.append((outside & plausible).sum().alias(name))
        return counts


def _is_true(name: str) -> pl.Expr:
    return pl.col(name).str.to_lowercase().is_in(TRUE)


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
        Clean rows, and the line of each as ``@line``.
    rejected
        The others: ``line``, ``faults``, ``raw``.
    raw
        The raw text of the accepted rows, for a later check that may still refuse one.
    suspects
        ``feature/unit`` → values that are only plausible in that unit.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    suspects: dict[str, int]


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
    broken = cells.select(
        rule.broken.fill_null(value=False).alias(str(i)) for i, rule in enumerate(check.rules)
    )
    clean = ~broken.select(pl.any_horizontal(pl.all())).to_series()
    rejected = _rejected(cells, broken, clean, check)
    suspects = cells.select(check.suspects).row(0, named=True) if check.suspects else {}
    accepted = cells.filter(clean).select(*check.typed, LINE, RAW)
    return CheckedRows(accepted, rejected, suspects)


def extra_column(position: int) -> str:
    """Return the name under which a frame of cells has a column that the spec does not know."""
    return f"@{position}"


def extra_cells(match: ColumnMatch) -> pl.Expr:
    """Gather the cells that the spec does not know into one JSON object of text, as ``extra``."""
    fields = [pl.col(extra_column(i)).alias(name) for i, name in match.extras.items()]
    return pl.struct(fields).struct.json_encode().alias(EXTRA)


def check_records(records: Sequence[Record], check: RowCheck) -> CheckedRows:
    """Check the records of a text file.

    Returns
    -------
    CheckedRows
        Each record once; those that could not be read are rejected with that one fault, since
        which cell is which cannot be known.
    """
    whole = [record for record in records if not record.reason]
    broken = [record for record in records if record.reason]
    data: dict[str, list[str] | list[int]] = {
        name: [record.cells[i] for record in whole] for i, name in check.match.names.items()
    }
    own = {i: extra_column(i) for i in check.match.extras}
    data |= {name: [record.cells[i] for record in whole] for i, name in own.items()}
    text = dict.fromkeys(data, pl.String)
    cells = pl.DataFrame(
        data | {LINE: [r.line for r in whole], RAW: [r.raw for r in whole]},
        schema={**text, LINE: pl.Int64, RAW: pl.String},
    )
    if own:
        cells = cells.with_columns(extra_cells(check.match))
    checked = check_cells(cells, check)
    unread = rejected_rows(
        [record.line for record in broken],
        [record.raw for record in broken],
        [(i, Fault("", record.reason, record.message)) for i, record in enumerate(broken)],
    )
    rejected = pl.concat([checked.rejected, unread]).sort("line") if broken else checked.rejected
    return CheckedRows(checked.accepted, rejected, checked.suspects)
