"""Checked readings to the rows of an answer: the one definition, for `/predict/batch` and bulk."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.inference.predictor import Predictor
from presagio.inference.series import SeriesFeatures
from presagio.readings.instants import time_numbers
from presagio.readings.table import CheckedReadings
from presagio.scoring.arrays import ScoredRows
from presagio.scoring.frames import as_frame, placed

Floats = NDArray[np.float64]
# Scores inputs of shape (n, k) or, where inputs hang on other rows, what they expand to.
Scorer = Callable[[Floats, Floats | None], ScoredRows]


def named_apart(sent: pl.DataFrame, answered: Collection[str]) -> dict[str, pl.Series]:
    """Return columns of a file by their names, apart from those that an answer has."""
    found: dict[str, pl.Series] = {}
    for column in sent:
        name = column.name or "column"
        while name in found or name in answered:
            name += " (sent)"
        found[name] = column
    return found


def is_good(checked: CheckedReadings) -> pl.Series | None:
    """Tell which rows can be predicted; None where all can."""
    return None if checked.faults is None else checked.faults["fault"].is_null()


@dataclass(frozen=True)
class AnswerRows:
    """Makes the rows of an answer, part by part, of one file and by one model.

    Attributes
    ----------
    predictor
        The model.
    version
        What it is called.
    score
        Scores rows; whoever counts them does so there.
    histories
        What makes inputs of readings that hang on those before them, where the spec has any.
    """

    predictor: Predictor
    version: str
    score: Scorer
    histories: SeriesFeatures | None = None

    def frame(
        self, checked: CheckedReadings, first: int, rows: int, sent: pl.DataFrame | None
    ) -> pl.DataFrame:
        """Return the rows of one part.

        Parameters
        ----------
        checked
            What the part is, checked.
        first
            The place of its first row in the file.
        rows
            How many rows it has, bad ones among them.
        sent
            Its columns that are no inputs, which come back with it.

        Raises
        ------
        DataError
            If what has to be kept of units does not fit into memory.
        """
        good, faults, inputs = is_good(checked), checked.faults, checked.inputs
        empty = pl.Series([None], dtype=pl.String).new_from_index(0, rows)
        expanded, series = self._expanded(checked, good)
        scores = as_frame(self.score(inputs, expanded))
        place = {"row": pl.arange(first, first + rows, eager=True), **series}
        answer = {
            **{name: placed(scores[name], good) for name in scores.columns},
            **self._remaining(inputs if expanded is None else expanded, good),
            **self._imputed(inputs, expanded, good),
            "version": pl.Series([self.version]).new_from_index(0, rows),
            "fault": empty if faults is None else faults["fault"],
            "reason": empty if faults is None else faults["reason"],
        }
        echoed = {} if sent is None else named_apart(sent, {*place, *answer})
        return pl.DataFrame(place | echoed | answer)

    def _expanded(
        self, checked: CheckedReadings, good: pl.Series | None
    ) -> tuple[Floats | None, dict[str, pl.Series]]:
        """Return what a model takes of rows with units and times, and these as columns."""
        if self.histories is None or checked.series is None:
            return None, {}
        unit, time = checked.series.select("unit", "time")
        shown = time
        if isinstance(time.dtype, pl.Datetime):
            shown = time.dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ")
        series = {"unit": placed(unit, good), "time": placed(shown, good)}
        if good is not None and checked.faults is not None:
            # Of bad rows as it is written: whoever sent them has to find them.
            series["unit"] = series["unit"].zip_with(good, checked.faults["unit"])
        return self.histories.expand(checked.inputs, unit.to_numpy(), time_numbers(time)), series

    def _named(self, gaps: NDArray[np.bool_], good: pl.Series | None) -> pl.Series:
        """Name the inputs for which a row has a true value; gaps have shape ``(g, k)``."""
        spec = self.predictor.artifact.spec
        frame = pl.DataFrame(gaps, schema=[*spec.input_names])
        named = [pl.when(pl.col(name)).then(pl.lit(name)) for name in spec.optional_names]
        words = frame.select(pl.concat_str(named, separator=" ", ignore_nulls=True)).to_series()
        return placed(words, good)

    def _imputed(
        self, inputs: Floats, expanded: Floats | None, good: pl.Series | None
    ) -> dict[str, pl.Series]:
        """Name what was missing in each row, where anything may be, and what was carried there."""
        spec = self.predictor.artifact.spec
        if not spec.optional_names:
            return {}
        gaps = np.isnan(inputs)
        found = {"imputed": self._named(gaps, good)}
        if spec.carried_names:
            known = (
                np.zeros_like(gaps) if expanded is None else ~np.isnan(expanded[:, : gaps.shape[1]])
            )
            found["carried"] = self._named(gaps & known, good)
        return found

    def _remaining(self, inputs: Floats, good: pl.Series | None) -> dict[str, pl.Series]:
        """Say how long units have left, where the model has that output."""
        life = self.predictor.remaining_life(inputs)
        if life is None:
            return {}
        columns = {
            "remaining_life": life.value, "remaining_low": life.low, "remaining_high": life.high,
        }  # fmt: skip
        return {
            name: placed(pl.Series(values).fill_nan(None), good) for name, values in columns.items()
        }
