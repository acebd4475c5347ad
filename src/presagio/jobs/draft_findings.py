"""What the columns of files of readings were found to be, taken together."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from presagio.errors import DataError
from presagio.jobs.spec_columns import DraftColumn, as_numbers
from presagio.machine.series import TimeColumn
from presagio.readings.instants import time_in
from presagio.readings.rules import TRUE_WORDS

# What a label may be where it is true, without words of its own.
TRUE_VALUES = frozenset({"1", "1.0", *TRUE_WORDS})


@dataclass
class DraftFindings:
    """What the columns of the files were found to be.

    Attributes
    ----------
    frame
        The rows that were looked at, as stripped text.
    columns
        What each column seems to be.
    target
        The one that tells failures.
    """

    frame: pl.DataFrame
    columns: list[DraftColumn]
    target: DraftColumn

    def of_role(self, *roles: str) -> list[DraftColumn]:
        """Return the columns of some roles, but for the target."""
        return [c for c in self.columns if c.role in roles and c is not self.target]

    def numbers(self, column: DraftColumn) -> pl.Series:
        """Return a column as numbers, null where there is none."""
        return as_numbers(self.frame[column.header])

    @property
    def unit(self) -> DraftColumn | None:
        """What names a machine: it is in each row, and the same in many."""
        known = (c for c in self.of_role("identifier") if not c.missing)
        most = len(self.frame) // 2
        return next((c for c in known if self.frame[c.header].n_unique() <= most), None)

    def time(self, unit: DraftColumn | None) -> DraftColumn | None:
        """Return what says when a reading was taken: a date in each row, or a unit's count."""
        text = TimeColumn(name="time")
        for column in self.of_role("date", "feature"):
            if column.missing:
                continue
            if column.role == "date" and not column.is_number:
                times = self.frame.select(time_in(pl.col(column.header), text)).to_series()
                if not times.null_count():
                    return column
            elif column.role == "date" or (unit is not None and self._counts_up(column, unit)):
                return column
        return None

    def _counts_up(self, column: DraftColumn, unit: DraftColumn) -> bool:
        if not column.like_a_count:
            return False
        rows = self.frame.select(unit=unit.header).with_columns(n=self.numbers(column))
        return bool(
            (rows.select(pl.col("n").diff().over("unit")).to_series().drop_nulls() > 0).all()
        )

    @property
    def is_true(self) -> pl.Series:
        """Where the target says that there was a failure."""
        return self.frame[self.target.header] == true_word(self.target)


def true_word(label: DraftColumn) -> str:
    """Return the value of a label that means a failure: 1, or the rarer of two words."""
    ones = [value for value in label.values if value.lower() in TRUE_VALUES]
    return ones[0] if ones else label.values[-1]


def find_target(columns: Sequence[DraftColumn], wanted: str | None) -> DraftColumn:
    """Return the column that tells failures: the one that is wanted, or one that is likely to.

    Raises
    ------
    DataError
        If there is none.
    """
    flags = [column for column in columns if column.role == "flag" and column.missing < 1.0]
    if wanted is not None:
        found = next((column for column in flags if column.header == wanted), None)
        if found is None:
            names = ", ".join(column.header for column in flags) or "none"
            raise DataError(f"{wanted} is no column with two values; those are: {names}")
        return found
    likely = [column for column in flags if column.like_a_label]
    if not likely:
        raise DataError(
            "no column seems to tell failures: one with two values, such as 0 and 1, is needed; "
            "name it with --target"
        )
    # The first of the file: failure modes stand behind the failure.
    return likely[0]
