"""A file in which a reader leaves the parts of a table until they are taken."""

import os
import threading
from collections import deque


class StoppedError(Exception):
    """Nobody wants the rest of the file."""


class Ring:
    """Writes blocks behind each other, and begins again where blocks were taken.

    A reader may be ahead of who takes the parts by so many bytes, and then waits.
    """

    def __init__(self, file: int, most_bytes: int) -> None:
        self._file, self._most = file, most_bytes
        self._waiting: deque[tuple[int, int]] = deque()
        self._changed = threading.Condition()
        self._stopped = False

    def _place(self, length: int) -> int | None:
        """Return where a part of this length goes; None while there is no place."""
        if not self._waiting:
            return 0
        first, (offset, last) = self._waiting[0][0], self._waiting[-1]
        end = offset + last
        if first < end:
            # What waits lies in one piece: after it, or before it.
            if end + length <= self._most:
                return end
            return 0 if length < first else None
        return end if end + length < first else None

    def write(self, blocks: list[bytes]) -> list[list[int]]:
        """Write a part; return offset and length of each block.

        Raises
        ------
        StoppedError
            If nobody wants it.
        """
        total = sum(map(len, blocks))
        with self._changed:
            while not self._stopped and (at := self._place(total)) is None:
                self._changed.wait()
            if self._stopped or at is None:
                raise StoppedError
            # A part without bytes waits to be taken like any other.
            self._waiting.append((at, max(total, 1)))
        places = []
        for block in blocks:
            places.append([at, len(block)])
            view = memoryview(block)
            while view:
                written = os.pwrite(self._file, view, at)
                view, at = view[written:], at + written
        return places

    def taken(self) -> None:
        """Free the place of the part that was written first."""
        with self._changed:
            if self._waiting:
                self._waiting.popleft()
            self._changed.notify()

    def stop(self) -> None:
        """Let the writer end."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
