"""Labelled readings to train on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.conditions import Conditions
from presagio.sentences import Sentence
from presagio.training.datasets.lives import Series

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
# For each label its rows, shape (n,): the target first, then the failure modes.
Labels = Mapping[str, Bools]


@dataclass(frozen=True)
class Dataset:
    """Labelled readings.

    Attributes
    ----------
    inputs
        Shape ``(n, k)``: the spec's inputs as columns, in its order; NaN where one is missing.
        Where inputs hang on the unit's other rows, shape ``(n, m)``: as
        :class:`presagio.inference.series.SeriesFeatures` makes them.
    labels
        Arrays of shape ``(n,)``: the target (whether the row is a failure) first, then the failure
        modes, where each failure's mode is known.
    source
        Where the rows come from, in words.
    sha256
        Digest of inputs and labels, whatever file they came in.
    receipts
        Ids of the ledger's receipts that the rows came through.
    rejected
        How many rows of the source failed the checks and are not in here.
    divided_by
        ``time`` or ``unit`` where the machine spec names a column to divide by.
    keys
        That column, shape ``(n,)``: typed times as numbers, everything else as text.
    series
        Lives of the units, where the label has a horizon.
    censored
        How many rows were left out of which nobody knows whether their units failed within it.
    gap
        How far ahead labels look, in the unit of the keys where those are times: rows nearer than
        that to a test set are not learned from.
    expand
        Makes inputs of shape ``(n, m)``, where they hang on what is learned in the training part
        first; None where that is done.
    units
        Of which unit each row is, shape ``(n,)``; None of a machine without.
    events
        What logs of events tell, by kind: how many, and how many of them cannot be used.
    origin
        The source, to be translated; None where it is a name.
    """

    inputs: Floats
    labels: Labels
    source: str
    sha256: str
    receipts: tuple[int, ...] = ()
    rejected: int = 0
    divided_by: str | None = None
    keys: NDArray[Any] | None = None
    series: Series | None = None
    censored: int = 0
    gap: float = 0.0
    expand: Callable[[Conditions], Floats] | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    units: NDArray[Any] | None = None
    address: str = ""
    origin: Sentence | None = None

    @property
    def target(self) -> Bools:
        """Whether each row is a failure, shape ``(n,)``."""
        return target_of(self.labels)


def target_of(labels: Labels) -> Bools:
    """Return the first of the labels: whether each row is a failure, shape ``(n,)``."""
    return next(iter(labels.values()))
