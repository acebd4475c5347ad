"""Rows that have been filed to scores: with what is known of their units from before."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.inference.event_features import EventTimes, event_columns
from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers
from presagio.scoring.arrays import score_rows
from presagio.scoring.frames import as_frame

Floats = NDArray[np.float64]
REMAINING = ("remaining_life", "remaining_low", "remaining_high")


@dataclass(frozen=True)
class ArrivedScores:
    """Scores of rows.

    Attributes
    ----------
    frame
        Label, probability, score, mode and, where the model says it, how long the unit has left:
        ``n`` rows.
    inputs
        What the model takes of them, shape ``(n, m)``.
    """

    frame: pl.DataFrame
    inputs: Floats


def numbers_of(rows: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Return columns of rows as an array of shape ``(n, k)``; NaN for what is missing."""
    columns = [pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in names]
    return rows.select(columns).to_numpy()


def lives_of(units: NDArray[Any], times: NDArray[Any], log: EventTimes) -> NDArray[Any]:
    """Name the life that each reading is of, shape ``(n,)``: its unit and how many ended before."""
    ends: dict[Any, list[float]] = {}
    ended = zip(log.units[log.ended].tolist(), log.times[log.ended].tolist(), strict=True)
    for unit, time in sorted(ended, key=itemgetter(1)):
        ends.setdefault(unit, []).append(time)
    found = np.empty(len(units), dtype=object)
    for i, (unit, time) in enumerate(zip(units.tolist(), times.tolist(), strict=True)):
        found[i] = unit, bisect_left(ends[unit], time) if unit in ends else 0
    return found


def needs_history(spec: MachineSpec) -> bool:
    """Tell whether scores hang on readings of other files."""
    return spec.has_history or bool(spec.event_features)


class ArrivalScorer:
    """Scores the rows of one file, part by part; what it remembers of units is bounded.

    Parameters
    ----------
    predictor
        The model.
    spec
        The fleet's machine spec, whose inputs it takes.
    """

    def __init__(self, predictor: Predictor, spec: MachineSpec) -> None:
        self._predictor, self._spec = predictor, spec
        self._histories = predictor.histories() if spec.has_history else None

    def score(self, rows: pl.DataFrame, history: pl.DataFrame, log: EventTimes) -> ArrivedScores:
        """Score rows.

        Parameters
        ----------
        rows
            Columns of :func:`.curated.training_schema`; of a series in order of unit and time.
        history
            Readings from before, of units that come for the first time, with the same columns.
        log
            Events of the units.
        """
        inputs = numbers_of(rows, self._spec.input_names)
        if needs_history(self._spec):
            inputs = self._expanded(rows, inputs, history, log)
        found = as_frame(score_rows(self._predictor, inputs))
        if (life := self._predictor.remaining_life(inputs)) is not None:
            values = (life.value, life.low, life.high)
            named = zip(REMAINING, values, strict=True)
            found = found.with_columns(pl.Series(name, some).fill_nan(None) for name, some in named)
        return ArrivedScores(found, inputs)

    def _expanded(
        self, rows: pl.DataFrame, inputs: Floats, history: pl.DataFrame, log: EventTimes
    ) -> Floats:
        spec, before = self._spec, len(history)
        unit, time = spec.needed_columns[:2]
        both = pl.concat([history.select(unit, time), rows.select(unit, time)])
        units, times = both[unit].to_numpy().astype(object), time_numbers(both[time])
        for place, values in event_columns(spec, units, times, log).items():
            # Of those before it is known already, by readings that are not here.
            inputs[:, place] = values[before:]
        if self._histories is None:
            return inputs
        lives = lives_of(units, times, log)
        if before:
            known = numbers_of(history, spec.input_names)
            self._histories.expand(known, lives[:before], times[:before])
        return self._histories.expand(inputs, lives[before:], times[before:])
