"""Rows of readings on disk, mapped into memory: as many as there are, whatever memory there is."""

import weakref
from collections.abc import Sequence
from tempfile import TemporaryFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

# Fewer rows than these are simply held.
_HELD_ROWS = 200_000
_CHUNK_ROWS = 100_000


class MappedRows:
    """Rows that are added to a file without a name; it is gone with the last frame of it."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns, self._rows = list(columns), 0
        self._file = TemporaryFile()  # noqa: SIM115 - closed below; what is mapped stays
        weakref.finalize(self, self._file.close)

    def add(self, rows: Floats) -> None:
        """Add rows, shape ``(n, columns)``."""
        self._file.write(np.ascontiguousarray(rows, dtype=np.float64).tobytes())
        self._rows += len(rows)

    def frame(self) -> pd.DataFrame:
        """Return all rows; what is read of them is read from the file."""
        if self._rows == 0:
            return pd.DataFrame(columns=self._columns, dtype=np.float64)
        self._file.flush()
        shape = (self._rows, len(self._columns))
        mapped = np.memmap(self._file, dtype=np.float64, mode="r", shape=shape)
        return pd.DataFrame(mapped, columns=self._columns, copy=False)


def take_rows(frame: pd.DataFrame, positions: Positions) -> pd.DataFrame:
    """Return some rows of a frame of numbers; many of them on disk."""
    if len(positions) <= _HELD_ROWS:
        return frame.iloc[positions].reset_index(drop=True)
    mapped = MappedRows(list(frame.columns))
    for start in range(0, len(positions), _CHUNK_ROWS):
        mapped.add(frame.iloc[positions[start : start + _CHUNK_ROWS]].to_numpy(dtype=np.float64))
    return mapped.frame()
