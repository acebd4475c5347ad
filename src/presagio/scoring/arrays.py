"""The one function that scores rows, whoever sends them: files, tensors, outcomes, windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.inference.alarm_modes import modes_of
from presagio.inference.predictor import Prediction, Predictor


@dataclass(frozen=True)
class ScoredRows(Prediction):
    """Predictions of ``n`` rows, each array of shape ``(n,)``, and what each alarm is about.

    Attributes
    ----------
    alarm_modes
        Of each alarm, in order, its likeliest failure mode; None where no mode can be named.
    """

    alarm_modes: list[str | None]


def score_rows(predictor: Predictor, inputs: NDArray[np.float64]) -> ScoredRows:
    """Score rows.

    Parameters
    ----------
    predictor
        The model.
    inputs
        Shape ``(n, k)``: the spec's inputs in order, numeric features in their units, then
        indicators as 0 or 1. There may be none.

    Returns
    -------
    ScoredRows
        One entry a row.
    """
    found = predictor.predict(inputs)
    modes = modes_of(predictor, inputs[found.label]) if found.label.any() else []
    return ScoredRows(found.score, found.probability, found.label, modes)
