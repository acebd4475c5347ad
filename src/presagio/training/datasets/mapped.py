"""Rows of readings on disk, mapped into memory: as many as there are, whatever memory there is."""

import mmap
import weakref
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

# Fewer rows than these are simply held.
_HELD_ROWS = 200_000
_CHUNK_ROWS = 100_000


class MappedRows:
    """Rows that are added to a file without a name; it is gone with the last array of it.

    Parameters
    ----------
    width
        How many columns a row has.
    """

    def __init__(self, width: int) -> None:
        self._width, self._rows = width, 0
        self._file = TemporaryFile()  # noqa: SIM115 - closed below; what is mapped stays
        weakref.finalize(self, self._file.close)

    def add(self, rows: Floats) -> None:
        """Add rows, shape ``(n, width)``."""
        self._file.write(np.ascontiguousarray(rows, dtype=np.float64).tobytes())
        self._rows += len(rows)

    def array(self) -> Floats:
        """Return all rows, shape ``(n, width)``; what is read of them is read from the file."""
        shape = (self._rows, self._width)
        if self._rows == 0:
            return np.empty(shape)
        self._file.flush()
        return np.memmap(self._file, dtype=np.float64, mode="r", shape=shape)


def writable_rows(rows: int, width: int) -> Floats:
    """Return an array of shape ``(rows, width)`` to write into; a large one is on disk."""
    if rows <= _HELD_ROWS:
        return np.empty((rows, width))
    with TemporaryFile() as file:
        return np.memmap(file, dtype=np.float64, mode="w+", shape=(rows, width))


def take_rows(rows: Floats, positions: Positions) -> Floats:
    """Return the rows at some positions, shape ``(m, width)``; many of them on disk."""
    if len(positions) <= _HELD_ROWS:
        return rows[positions]
    if len(positions) == len(rows) and (np.diff(positions) == 1).all():
        return rows
    mapped = MappedRows(rows.shape[1])
    for start in range(0, len(positions), _CHUNK_ROWS):
        mapped.add(rows[positions[start : start + _CHUNK_ROWS]])
        release(rows)
    return mapped.array()


def release(rows: Floats) -> None:
    """Give the memory of rows on disk back; what is read of them again is read from the file.

    The system would do so by itself before it ran out of memory, and would count them until then.

    Parameters
    ----------
    rows
        Shape ``(n, width)``; rows that are held stay.
    """
    mapped = getattr(rows, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
