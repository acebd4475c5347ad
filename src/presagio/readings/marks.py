"""Which mark stands before decimals: decided by all numbers of a file together, else refused.

``1.551`` alone may be 1.551 or 1551. A file has one convention, so it is decided by

1. numbers whose form leaves one reading (``298.1``, ``0.551``, ``1551.250``, ``1.551,5``,
   ``1.551.000``), in any numeric column;
2. else numbers of which one reading alone is within the range that the machine spec gives.

Where neither is found and both readings of a number are plausible, the file is refused.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.machine.columns import ColumnMatch
from presagio.machine.inputs import Feature
from presagio.machine.spec import MachineSpec
from presagio.readings.numerals import MARKS, decimal_form, either_form, other_mark
from presagio.readings.row_check import RowCheck
from presagio.sentences import Sentence

# One outlier among many numbers decides nothing.
_DECISIVE = 10


class Ambiguous(NamedTuple):
    """A number of which both readings are plausible: its column, and how it is written."""

    column: str
    text: str

    @property
    def sentence(self) -> Sentence:
        """Both readings."""
        decimal = self.text.replace(",", ".")
        return Sentence(
            "%(column)s %(text)s may be %(decimal)s or %(whole)s",
            {
                "column": self.column, "text": repr(self.text), "decimal": decimal,
                "whole": decimal.replace(".", ""),
            },
        )  # fmt: skip


class _Readings:
    """Which readings of the numbers of one feature, with one mark, are plausible."""

    def __init__(self, feature: Feature, check: RowCheck) -> None:
        text, low, high = pl.col(feature.name), *feature.bounds
        either = either_form(text, check.mark)
        whole = text.str.replace(check.mark, "", literal=True).cast(pl.Float64, strict=False)
        as_decimal = check.value(feature).is_between(low, high)
        as_whole = check.in_spec_unit(feature, whole).is_between(low, high)
        self.by_form = decimal_form(text, check.mark)
        self.decimal_only = either & as_decimal & ~as_whole
        self.whole_only = either & as_whole & ~as_decimal
        self.both = either & as_decimal & as_whole


class MarkEvidence:
    """Gathers evidence for either mark, from the numeric cells of a file as stripped text.

    Parameters
    ----------
    spec, match
        The machine spec, and the columns of the file.
    allowed
        Which marks may stand before decimals; the other is evidence nevertheless.
    """

    def __init__(
        self, spec: MachineSpec, match: ColumnMatch, allowed: tuple[str, ...] = MARKS
    ) -> None:
        self._allowed = allowed
        self._readings = {
            (mark, feature.name): _Readings(feature, RowCheck(spec, match, mark))
            for mark in MARKS
            for feature in spec.features
            if feature.name in match.found
        }
        self._columns = tuple(name for name in spec.feature_names if name in match.found)
        self._by_form: Counter[str] = Counter()
        self._by_range: Counter[str] = Counter()
        self._both: dict[str, Ambiguous] = {}

    def add(self, numbers: pl.DataFrame) -> None:
        """Look at more rows."""
        if not self._columns:
            return
        with_mark = pl.any_horizontal(pl.col(self._columns).str.contains(r"[.,]"))
        cells = numbers.filter(with_mark)
        if cells.is_empty():
            return
        counts: list[pl.Expr] = []
        for (mark, name), found in self._readings.items():
            counts += [
                found.by_form.sum().alias(f"form{mark}{name}"),
                found.decimal_only.sum().alias(f"range{mark}{name}"),
                found.whole_only.sum().alias(f"range{other_mark(mark)}{name}/whole"),
                pl.col(name).filter(found.both).first().alias(f"both{mark}{name}"),
            ]
        row = cells.lazy().select(counts).collect().row(0, named=True)
        for mark, name in self._readings:
            self._by_form[mark] += row[f"form{mark}{name}"]
            self._by_range[mark] += row[f"range{mark}{name}"]
            self._by_range[other_mark(mark)] += row[f"range{other_mark(mark)}{name}/whole"]
            text = row[f"both{mark}{name}"]
            if text is not None:
                self._both.setdefault(mark, Ambiguous(name, text))

    @property
    def settled(self) -> str | None:
        """The mark that the form of most numbers needs; None as long as no form decides."""
        mark = _larger(self._by_form, 1)
        return mark if mark in self._allowed else None

    def decide(self) -> str:
        """Return the mark before decimals, once all rows are known.

        Raises
        ------
        UnreadableFileError
            ``ambiguous_numbers``, with both readings of one.
        """
        mark = _larger(self._by_form, 1) or _larger(self._by_range, _DECISIVE)
        if mark in self._allowed:
            return mark
        # With a mark that is not allowed, no number would be taken.
        found = next((self._both[m] for m in self._allowed if m in self._both), None)
        if found is not None:
            raise UnreadableFileError(
                "ambiguous_numbers",
                Sentence(
                    "%(number)s, and the other numbers of the file do not tell which; write "
                    "numbers without a separator of thousands, or every one with decimals",
                    {"number": found.sentence},
                ),
            )
        likely = _larger(self._by_range, 1)
        return likely if likely in self._allowed else self._allowed[0]

    def unsupported(self, numbers: pl.DataFrame, mark: str) -> Ambiguous | None:
        """Return a number that may be read both ways in a row that does not tell how itself."""
        found = [self._readings[mark, name] for name in self._columns]
        decided = pl.any_horizontal(one.by_form | one.decimal_only for one in found)
        both = pl.any_horizontal(one.both for one in found)
        rows = numbers.filter(both.fill_null(value=False) & ~decided.fill_null(value=False)).head(1)
        for name, one in zip(self._columns, found, strict=True):
            text = rows.filter(one.both)[name].to_list()
            if text:
                return Ambiguous(name, text[0])
        return None


def _larger(votes: Counter[str], factor: int) -> str | None:
    """Return the mark with more votes, by a factor; None where neither has."""
    first, second = sorted(MARKS, key=lambda mark: votes[mark], reverse=True)
    if votes[first] > votes[second] and votes[first] >= factor * votes[second]:
        return first
    return None


def refuse_mixed(
    parts: Iterable[pl.DataFrame], evidence: MarkEvidence, mark: str
) -> UnreadableFileError | None:
    """Say whether a file that writes decimals in two ways leaves a number open.

    Rows with the other mark are rejected by themselves. A row that has neither tells nothing, so a
    number in it that may be read both ways would be guessed.
    """
    for numbers in parts:
        if (found := evidence.unsupported(numbers, mark)) is not None:
            return UnreadableFileError(
                "ambiguous_numbers",
                Sentence(
                    "the file writes decimals with '%(mark)s' and with '%(other)s', and "
                    "%(number)s; write all numbers one way",
                    {"mark": mark, "other": other_mark(mark), "number": found.sentence},
                ),
            )
    return None
