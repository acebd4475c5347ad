"""Rows that stand in one file twice, where the machine spec says that the second is to go."""

import numpy as np
import polars as pl

from presagio.readings.row_check import EXTRA
from presagio.readings.rows import LINE, RAW


class DuplicateRows:
    """Remembers the rows of a file by a 64-bit hash of their values.

    Two different rows share a hash in one file of ten million with a probability of 3e-6; the
    second would be rejected, not lost.
    """

    def __init__(self) -> None:
        self._seen = np.empty(0, dtype=np.uint64)

    def among(self, rows: pl.DataFrame) -> pl.Series:
        """Tell which rows repeat one before them, in this chunk or an earlier one."""
        values = rows.drop(LINE, RAW, EXTRA, strict=False)
        hashes = values.hash_rows(seed=0)
        first = hashes.is_first_distinct().to_numpy()
        known = hashes.to_numpy()
        if len(self._seen):
            at = np.searchsorted(self._seen, known).clip(max=len(self._seen) - 1)
            first &= self._seen[at] != known
        # A stable sort merges two sorted runs in linear time.
        self._seen = np.sort(np.concatenate((self._seen, np.sort(known[first]))), kind="stable")
        return pl.Series(~first)
