"""Frames of readings to frames of scores, by :func:`presagio.scoring.arrays.score_rows`."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.inference.predictor import Predictor
from presagio.inference.series import SeriesFeatures
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers
from presagio.scoring.arrays import ScoredRows, score_rows

SCHEMA = pl.Schema(
    {"label": pl.Boolean(), "probability": pl.Float64(), "score": pl.Float64(), "mode": pl.String()}
)


def inputs_of(
    frame: pl.DataFrame, spec: MachineSpec, histories: SeriesFeatures | None = None
) -> NDArray[np.float64]:
    """Return the inputs of a machine from a frame of clean readings.

    Parameters
    ----------
    frame
        Has a column for each input, in the machine spec's units; indicators as booleans or 0 and 1.
    spec
        The machine spec.
    histories
        Of a model that is to score them; by default what the machine spec alone says.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, k)``, in the spec's order; NaN where a value is missing that may be. Shape
        ``(n, m)``, the columns of ``spec.model_inputs``, where inputs hang on other rows of the
        unit: the frame says of which unit and of when each row is, or has these columns.

    Raises
    ------
    DataError
        If a column is missing, or a value: none is made up, and a gap would be no alarm.
    """
    names, optional = spec.input_names, {*spec.optional_names}
    if missing := [name for name in names if name not in frame.columns]:
        raise DataError(f"the readings have no column {', '.join(missing)}")
    inputs = frame.select(pl.col(name).cast(pl.Float64) for name in names)
    if gaps := [n for n in names if n not in optional and inputs[n].null_count()]:
        raise DataError(f"the readings have gaps in {', '.join(gaps)}")
    return _expanded(frame, inputs.to_numpy(), spec, histories)


def _expanded(
    frame: pl.DataFrame, inputs: NDArray[np.float64], spec: MachineSpec,
    histories: SeriesFeatures | None,
) -> NDArray[np.float64]:  # fmt: skip
    known = {*frame.columns}
    if not spec.has_history:
        return inputs
    more = spec.model_inputs[len(spec.input_names) :]
    if known.issuperset(more):
        made = frame.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in more)
        return np.hstack([inputs, made.to_numpy()])
    if not known.issuperset(spec.series_names):
        return inputs
    units, times = frame.select(spec.series_names)
    names = units.fill_null("").to_numpy()
    return (histories or SeriesFeatures(spec)).expand(inputs, names, time_numbers(times))


def as_frame(scored: ScoredRows) -> pl.DataFrame:
    """Return scores as a frame with the columns of :data:`SCHEMA`, one row for each."""
    modes = pl.Series(scored.alarm_modes, dtype=pl.String)
    columns = {
        "label": scored.label, "probability": scored.probability, "score": scored.score,
        "mode": placed(modes, pl.Series(scored.label)),
    }  # fmt: skip
    return pl.DataFrame(columns, schema=SCHEMA)


def placed(values: pl.Series, rows: pl.Series | None) -> pl.Series:
    """Put values at the rows that are true, and null at the others; None: at all of them."""
    if rows is None:
        return values
    full = pl.Series([None], dtype=values.dtype).new_from_index(0, len(rows))
    return full.scatter(rows.arg_true(), values)


def score_frame(predictor: Predictor, frame: pl.DataFrame) -> pl.DataFrame:
    """Score a frame of clean readings.

    Parameters
    ----------
    predictor
        The model.
    frame
        As for :func:`inputs_of`; other columns are not looked at.

    Returns
    -------
    polars.DataFrame
        The columns of :data:`SCHEMA`, one row for each reading, in order.

    Raises
    ------
    DataError
        As of :func:`inputs_of`.
    """
    inputs = inputs_of(frame, predictor.artifact.spec, predictor.histories())
    return as_frame(score_rows(predictor, inputs))
