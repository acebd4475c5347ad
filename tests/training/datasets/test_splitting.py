import numpy as np
import pytest

from presagio.errors import DataError
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.sources import generate_dataset
from presagio.training.datasets.splitting import FOLDS, Part, make_folds, split_dataset


def _divided(dataset: Dataset, by: str, keys: np.ndarray) -> Dataset:
    return Dataset(
        dataset.inputs, dataset.labels, dataset.source, dataset.sha256, divided_by=by, keys=keys
    )


@pytest.fixture(scope="module")
def dataset(spec: MachineSpec) -> Dataset:
    return generate_dataset(spec, 5000)


def test_the_split_is_stratified_and_shares_no_row(dataset: Dataset) -> None:
    rows = dataset.inputs.copy()
    rows[:, 0] = np.arange(5000.0)
    split = split_dataset(Dataset(rows, dataset.labels, "x", ""))
    assert (len(split.train), len(split.test)) == (4000, 1000)
    numbers = [set(part.inputs[:, 0]) for part in (split.train, split.test)]
    assert not numbers[0] & numbers[1]
    assert split.test.target.mean() == pytest.approx(dataset.target.mean(), abs=0.001)
    for mode in ("hdf", "pwf", "osf"):
        assert split.test.labels[mode].mean() == pytest.approx(
            dataset.labels[mode].mean(), abs=0.001
        )


def test_the_newest_rows_are_the_test_part_where_the_spec_says_time(dataset: Dataset) -> None:
    keys = np.array([f"2026-01-01T{i:06d}" for i in range(5000)])
    order = np.random.default_rng(0).permutation(5000)
    split = split_dataset(_divided(dataset, "time", keys[order]))
    assert split.train.keys is not None
    assert split.test.keys is not None
    assert max(split.train.keys) < min(split.test.keys)
    for train, test in make_folds(split.train, "time"):
        tested = split.train.keys[test]
        others = split.train.keys[train]
        # A fold is one block of time: nothing of the others lies within it.
        assert not ((others > min(tested)) & (others < max(tested))).any()


def test_no_unit_is_on_both_sides(dataset: Dataset) -> None:
    keys = np.array([f"machine {i % 37}" for i in range(5000)])
    split = split_dataset(_divided(dataset, "unit", keys))
    assert split.train.keys is not None
    assert split.test.keys is not None
    assert not set(split.train.keys) & set(split.test.keys)
    for train, test in make_folds(split.train, "unit"):
        assert not set(split.train.keys[train]) & set(split.train.keys[test])


def test_folds_test_on_every_row_once(dataset: Dataset) -> None:
    part = split_dataset(dataset).train
    folds = make_folds(part, None)
    assert len(folds) == FOLDS
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(part)))
    assert all(part.target[test].any() for _, test in folds)


def test_a_part_without_a_failure_is_refused(dataset: Dataset) -> None:
    order = np.argsort(~dataset.target, kind="stable").argsort()
    keys = np.array([f"{place:05d}" for place in order])
    with pytest.raises(DataError, match="no failure"):
        split_dataset(_divided(dataset, "time", keys))


def test_a_sample_keeps_the_share_of_failures(dataset: Dataset) -> None:
    part = split_dataset(dataset).train
    sample = part.sample(1000, seed=1)
    assert len(sample) == 1000
    assert sample.target.mean() == pytest.approx(part.target.mean(), abs=0.001)
    assert part.sample(4000, seed=1) is part


def test_a_sample_has_failures_where_they_are_rare() -> None:
    target = np.zeros(40_000, dtype=bool)
    target[:90] = True
    part = Part(np.arange(40_000.0)[:, None], {"failure": target})
    sample = part.sample(10_000, seed=1)
    assert (len(sample), int(sample.target.sum())) == (10_000, 90)
    assert len(np.unique(sample.inputs)) == 10_000
    # So that weighted rows have the share of failures that all rows have.
    others = sample.healthy_weight * (10_000 - 90)
    assert others / 90 == pytest.approx((len(part) - 90) / 90)
    assert sample.take(np.arange(10)).healthy_weight == sample.healthy_weight


def test_rows_whose_labels_look_into_the_test_set_are_in_neither_part() -> None:
    hours, target = np.arange(1000.0), np.arange(1000) % 7 == 0
    dataset = Dataset(
        hours[:, None], {"failure": target}, "x", "", divided_by="time", keys=hours, gap=50.0
    )
    split = split_dataset(dataset)
    assert split.test.keys is not None
    assert split.train.keys is not None
    assert split.test.keys.min() - split.train.keys.max() == 50.0
    for train, test in make_folds(split.train, "time"):
        apart = np.abs(split.train.keys[train][:, None] - split.train.keys[test])
        assert apart.min() == 50.0
