import gc

import numpy as np

from presagio.training.datasets import mapped
from presagio.training.datasets.mapped import MappedRows, take_rows


def test_rows_come_back_as_they_were_added() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 3))
    file = MappedRows(3)
    for part in np.array_split(rows, 7):
        file.add(part)
    found = file.array()
    del file
    gc.collect()
    np.testing.assert_array_equal(found, rows)


def test_nothing_is_an_empty_array() -> None:
    assert MappedRows(1).array().shape == (0, 1)


def test_mapped_rows_are_read_from_the_file_and_not_held() -> None:
    file = MappedRows(2)
    file.add(np.ones((10, 2)))
    assert isinstance(_owner(file.array()), np.memmap)


def test_many_rows_are_taken_on_disk_and_are_the_same() -> None:
    count = mapped._HELD_ROWS + 5
    file = MappedRows(1)
    file.add(np.arange(count, dtype=float).reshape(-1, 1))
    rows, order = file.array(), np.random.default_rng(1).permutation(count)
    taken = take_rows(rows, order)
    np.testing.assert_array_equal(taken[:, 0], order)
    assert isinstance(_owner(taken), np.memmap)
    np.testing.assert_array_equal(take_rows(rows, order[:9])[:, 0], order[:9])


def _owner(array: np.ndarray) -> object:
    """Return the array that an array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def test_what_is_released_is_still_there() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 3))
    file = MappedRows(3)
    file.add(rows)
    found = file.array()
    mapped.release(found)
    np.testing.assert_array_equal(found, rows)
    # Held rows have nothing to give back.
    mapped.release(rows)
