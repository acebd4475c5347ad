"""Row by row: what is taken, and every fault of what is not.

This is the whole truth of what a row may be. :mod:`presagio.ingest.quick` takes most rows without
coming here, and must never take one that this would refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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


def _number_pattern(mark: str) -> str:
    # Stricter than float(): no nan, no inf, no 1_000, ASCII digits only.
    point = r"\." if mark == "." else mark
    return rf"^[+-]?([0-9]+{point}?[0-9]*|{point}[0-9]+)([eE][+-]?[0-9]+)?$"


def _fault(condition: pl.Expr, column: str, reason: str, message: pl.Expr) -> pl.Expr:
    fault = pl.struct(
        pl.lit(column).alias("column"), pl.lit(reason).alias("reason"), message.alias("message")
    )
    return pl.when(condition).then(fault)


def _said(column: str, raw: pl.Expr, expected: str) -> pl.Expr:
    value = raw.str.slice(0, _SHOWN)
    return pl.concat_str(pl.lit(f"{column} is '"), value, pl.lit(f"'; expected {expected}"))


def _empty(column: str, expected: str) -> pl.Expr:
    missing = pl.lit(f"{column} is empty; expected {expected}")
    return _fault(pl.col(column) == "", column, "missing", missing)


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

    def _number_faults(self, feature: Feature) -> list[pl.Expr]:
        name, raw, value = feature.name, pl.col(feature.name), self.value(feature)
        low, high = feature.range
        expected = f"a number from {low:g} to {high:g} {feature.unit}"
        if unit := self.match.units.get(name):
            expected += f" (converted from {unit.symbol})"
        other = "." if self.mark == "," else ","
        wrong = (raw != "") & value.is_null()
        thousands = wrong & raw.str.contains(_THOUSANDS)
        other_mark = wrong & ~thousands & raw.str.contains(_number_pattern(other))
        return [
            _empty(name, expected),
            _fault(
                thousands, name, "thousands_separator",
                _said(name, raw, f"{expected}, without a separator of thousands"),
            ),
            _fault(
                other_mark, name, "decimal_mark",
                _said(name, raw, f"{expected}, with '{self.mark}' before decimals"),
            ),
            _fault(
                wrong & ~thousands & ~other_mark, name, "not_a_number", _said(name, raw, expected)
            ),
            _fault(
                ~value.is_between(low, high), name, "out_of_range", _said(name, raw, expected)
            ),
        ]  # fmt: skip

    def _flag_faults(self, name: str) -> list[pl.Expr]:
        raw, expected = pl.col(name), "true or false, 1 or 0"
        known = raw.str.to_lowercase().is_in([*TRUE, *FALSE])
        return [
            _empty(name, expected),
            _fault((raw != "") & ~known, name, "not_a_boolean", _said(name, raw, expected)),
        ]

    def _category_faults(self, category: Category) -> list[pl.Expr]:
        name, raw = category.name, pl.col(category.name)
        if self.has(name):
            expected = f"one of {', '.join(category.values)}"
            known = raw.str.to_uppercase().is_in([value.upper() for value in category.values])
            return [
                _empty(name, expected),
                _fault((raw != "") & ~known, name, "unknown_category", _said(name, raw, expected)),
            ]
        names = list(category.indicators.values())
        several = pl.sum_horizontal([_is_true(name).cast(pl.Int8) for name in names]) > 1
        both = pl.lit(f"{' and '.join(names)} are both true; expected one of them at most")
        return [fault for flag in names for fault in self._flag_faults(flag)] + [
            _fault(several, name, "contradiction", both)
        ]

    @cached_property
    def faults(self) -> pl.Expr:
        """All faults of a row, as a list of structs."""
        found = [fault for feature in self.spec.features for fault in self._number_faults(feature)]
        for category in self.spec.categories:
            found += self._category_faults(category)
        for label in self.spec.label_names:
            found += self._flag_faults(label) if self.has(label) else []
        return pl.concat_list(found).list.drop_nulls()

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
    lines: Sequence[int], faults: Sequence[object], raws: Sequence[str]
) -> pl.DataFrame:
    """Make a frame of rejected rows: ``line``, ``faults`` (column, reason, message), ``raw``."""
    return pl.DataFrame({"line": lines, "faults": faults, "raw": raws}, schema=REJECTED_SCHEMA)


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
    found = cells.select(LINE, RAW, check.faults.alias("faults"))
    clean = found["faults"].list.len() == 0
    rejected = found.filter(~clean).select(
        pl.col(LINE).alias("line"), pl.col("faults"), pl.col(RAW).alias("raw")
    )
    suspects = cells.select(check.suspects).row(0, named=True) if check.suspects else {}
    accepted = cells.filter(clean).select(*check.typed, LINE, RAW)
    return CheckedRows(accepted, rejected.cast(REJECTED_SCHEMA), suspects)


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
        [r.line for r in broken],
        [[{"column": "", "reason": r.reason, "message": r.message}] for r in broken],
        [r.raw for r in broken],
    )
    rejected = pl.concat([checked.rejected, unread]).sort("line") if broken else checked.rejected
    return CheckedRows(checked.accepted, rejected, checked.suspects)
