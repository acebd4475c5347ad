"""Division of labelled readings: training and test part, and folds within the training part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    train_test_split,
)

from presagio.errors import DataError
from presagio.training.datasets.dataset import Bools, Dataset, Floats, Labels, target_of
from presagio.training.datasets.lives import Series
from presagio.training.datasets.mapped import Positions, take_rows

# One division: for each fold the positions to train on, and those to test on.
Folds = Sequence[tuple[Positions, Positions]]

FOLDS = 5
# Of more rows one division into folds says as much as several of few.
_MANY_ROWS = 10_000
# Of a sample, one row in so many is a failure at least: of fewer nothing can be compared.
_RARE = 100


@dataclass(frozen=True)
class Part:
    """Some rows of a dataset.

    Attributes
    ----------
    inputs, labels
        As those of the dataset.
    keys
        What the rows are divided by, where the spec names a column for it.
    healthy_weight
        For how many rows each one without a failure stands: more than one in a sample that has
        more failures than all rows have.
    series
        Lives of the units, where the label has a horizon.
    gap
        How far ahead labels look, where rows are divided by time.
    units
        As those of the dataset.
    """

    inputs: Floats
    labels: Labels
    keys: NDArray[Any] | None = None
    healthy_weight: float = 1.0
    series: Series | None = None
    gap: float = 0.0
    units: NDArray[Any] | None = None

    @property
    def target(self) -> Bools:
        """Whether each row is a failure, shape ``(n,)``."""
        return target_of(self.labels)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.inputs)

    def take(self, positions: Positions) -> "Part":
        """Return some of the rows."""
        return Part(
            take_rows(self.inputs, positions),
            take_labels(self.labels, positions),
            None if self.keys is None else self.keys[positions],
            self.healthy_weight,
            None if self.series is None else self.series.take(positions),
            self.gap,
            None if self.units is None else self.units[positions],
        )

    def sample(self, rows: int, *, seed: int) -> "Part":
        """Return at most so many rows, chosen by chance, stratified by the labels.

        Where failures are rarer than one in a hundred, they are that of the sample, or all; each
        of the other rows stands for more than one then.
        """
        if len(self) <= rows:
            return self
        everything, strata = np.arange(len(self)), _strata(self.labels)
        chosen, _ = train_test_split(
            everything, train_size=rows, stratify=strata, random_state=seed
        )
        fewest, weight = min(int(self.target.sum()), rows // _RARE), self.healthy_weight
        if int(self.target[chosen].sum()) < fewest:
            rng = np.random.default_rng(seed)
            failures, others = (np.flatnonzero(self.target == which) for which in (True, False))
            chosen = np.concatenate(
                [
                    rng.choice(failures, fewest, replace=False),
                    rng.choice(others, rows - fewest, replace=False),
                ]
            )
            weight *= len(others) / (rows - fewest) * fewest / len(failures)
        return replace(self.take(np.sort(chosen)), healthy_weight=weight)


@dataclass(frozen=True)
class Split:
    """A dataset's training and test part; nothing is chosen on the test part."""

    train: Part
    test: Part

    def map(self, change: Callable[[Floats], Floats]) -> "Split":
        """Return the same rows with other inputs, of shape ``(n, k)`` as well."""
        return Split(
            replace(self.train, inputs=change(self.train.inputs)),
            replace(self.test, inputs=change(self.test.inputs)),
        )


def take_labels(labels: Labels, rows: Positions | Bools) -> dict[str, Bools]:
    """Return the labels of some rows, by their positions or by a mask of shape ``(n,)``."""
    return {name: values[rows] for name, values in labels.items()}


def _strata(labels: Labels) -> NDArray[np.int64]:
    """Give each combination of labels a number; rare ones count as the target alone.

    Where these are rare still, they count as the most common combination with the same target.
    """
    target = target_of(labels).astype(np.int64)
    codes = np.zeros_like(target)
    for place, values in enumerate(labels.values()):
        codes += values.astype(np.int64) << place
    for others in (np.array([0, 1]), np.array([_commonest(codes[target == i]) for i in (0, 1)])):
        values, counts = np.unique(codes, return_counts=True)
        rare = np.isin(codes, values[counts < 2 * FOLDS])
        codes = np.where(rare, others[target], codes)
    return codes


def _commonest(codes: NDArray[np.int64]) -> int:
    values, counts = np.unique(codes, return_counts=True)
    return int(values[np.argmax(counts)]) if len(values) else 0


def split_dataset(dataset: Dataset, *, test_share: float = 0.2, seed: int = 0) -> Split:
    """Split a dataset into training and test part.

    Stratified by the labels; where the spec divides by time, the newest rows are the test part;
    where it divides by unit, no unit is in both. Of labels with a horizon, rows nearer than that to
    the test part are in neither, where it divides by time.

    Raises
    ------
    DataError
        If either part would be without a failure.
    """
    rows = np.arange(len(dataset.target))
    if dataset.divided_by == "time" and dataset.keys is not None:
        order = np.argsort(dataset.keys, kind="stable")
        cut = round(len(rows) * (1 - test_share))
        train, test = order[:cut], order[cut:]
        train = _apart(dataset.keys, train, test, dataset.gap)
    elif dataset.divided_by == "unit" and dataset.keys is not None:
        chooser = GroupShuffleSplit(1, test_size=test_share, random_state=seed)
        train, test = next(chooser.split(rows, groups=dataset.keys))
    else:
        train, test = train_test_split(
            rows, test_size=test_share, stratify=_strata(dataset.labels), random_state=seed
        )
    if not dataset.target[train].any() or not dataset.target[test].any():
        raise DataError(
            f"divided by {dataset.divided_by}, training or test part of {dataset.source} has no "
            "failure; more data are needed"
        )
    whole = Part(
        dataset.inputs, dataset.labels, dataset.keys, series=dataset.series, gap=dataset.gap,
        units=dataset.units,
    )  # fmt: skip
    if dataset.divided_by != "time":
        # In the order in which they came, as those by time are: what follows each other is alike,
        # and who watches for drift has to know how much.
        train, test = np.sort(train), np.sort(test)
    return Split(whole.take(train), whole.take(test))


def _apart(keys: NDArray[Any], train: Positions, test: Positions, gap: float) -> Positions:
    """Leave out the rows to train on whose labels look into the time of the test rows, or back."""
    if not gap or not len(test):
        return train
    first, last = keys[test].min(), keys[test].max()
    kept: Positions = train[(keys[train] <= first - gap) | (keys[train] >= last + gap)]
    return kept


def repeats(rows: int, wanted: int) -> int:
    """Return how often rows are divided into folds: as wanted, or once where they are many."""
    return wanted if rows <= _MANY_ROWS else 1


def make_folds(part: Part, divided_by: str | None, *, seed: int = 0) -> Folds:
    """Divide rows into folds: stratified; by unit, or in blocks of time, where the spec says so."""
    strata = _strata(part.labels)
    if divided_by == "unit" and part.keys is not None:
        chooser = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        return list(chooser.split(strata, strata, groups=part.keys))
    if divided_by == "time" and part.keys is not None:
        order = np.argsort(part.keys, kind="stable")
        return [
            (_apart(part.keys, order[train], order[test], part.gap), order[test])
            for train, test in KFold(FOLDS).split(order)
        ]
    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(strata, strata))
