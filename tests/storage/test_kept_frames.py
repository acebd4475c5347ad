"""What was read lately is not read again, within a bound of memory."""

from functools import partial

import polars as pl
import pytest

from presagio.storage.kept_frames import KeptFrames

_ROWS = 1000
_BYTES = 8 * _ROWS


def _read(value: int, asked: list[int]) -> pl.DataFrame:
    asked.append(value)
    return pl.DataFrame({"value": [value] * _ROWS}, schema={"value": pl.Int64})


def test_what_was_asked_for_last_is_kept_within_a_bound() -> None:
    kept, asked = KeptFrames(3 * _BYTES), list[int]()
    for value in (1, 2, 3, 1, 4, 1, 3, 4, 2):
        assert kept.get(value, partial(_read, value, asked))["value"][0] == value
    # When the fourth came the second was the one that had not been asked for the longest.
    assert asked == [1, 2, 3, 4, 2]


@pytest.mark.parametrize("most", [0, _BYTES])
def test_one_that_would_fill_the_memory_is_not_kept(most: int) -> None:
    kept, asked = KeptFrames(most), list[int]()
    for _ in range(2):
        kept.get("one", lambda: _read(1, asked))
    assert asked == [1, 1]


def test_what_is_not_there_and_what_cannot_be_read_is_asked_for_again() -> None:
    kept, asked = KeptFrames(3 * _BYTES), list[int]()
    assert kept.get("one", lambda: pl.DataFrame({"value": []})).is_empty()

    def fail() -> pl.DataFrame:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        kept.get("one", fail)
    assert len(kept.get("one", lambda: _read(1, asked))) == _ROWS
