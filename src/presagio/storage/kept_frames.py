"""Rows of objects kept in memory, for whoever asks for the same objects again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

import polars as pl


class KeptFrames:
    """Keeps the frames that were asked for last; for several threads.

    Parameters
    ----------
    most_bytes
        How much of them at most; with 0 nothing is kept.
    """

    def __init__(self, most_bytes: int = 0) -> None:
        self._most, self._lock = most_bytes, Lock()
        self._frames: OrderedDict[Hashable, pl.DataFrame] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._bytes = 0

    def get(self, key: Hashable, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return a frame; what is not there is read, by as many threads as ask meanwhile.

        Parameters
        ----------
        key
            Names the object and everything that its rows depend on, such as its digest.
        read
            Reads it.
        """
        with self._lock:
            known = self._frames.get(key)
            if known is not None:
                self._frames.move_to_end(key)
                return known
        frame = read()
        self._keep(key, frame, int(frame.estimated_size()))
        return frame

    def _keep(self, key: Hashable, frame: pl.DataFrame, size: int) -> None:
        # One that takes the place of many is not worth it; what is not there may come.
        if size * 2 > self._most or frame.is_empty():
            return
        with self._lock:
            if key in self._frames:
                return
            self._frames[key], self._sizes[key] = frame, size
            self._bytes += size
            while self._bytes > self._most:
                oldest, _ = self._frames.popitem(last=False)
                self._bytes -= self._sizes.pop(oldest)
