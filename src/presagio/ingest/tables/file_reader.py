"""Files that are read in a reader process; one that ends it twice is refused, with a verdict."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import polars as pl

from presagio.errors import ReaderEndedError, UnreadableFileError
from presagio.readings.process.pool import ReaderPool
from presagio.sentences import Sentence


def _refused(err: ReaderEndedError) -> UnreadableFileError:
    return UnreadableFileError(
        "reader_ended",
        Sentence(
            "reading the file was given up twice (%(reason)s): %(why)s; write it again with plain "
            "columns and smaller row groups, or raise PRESAGIO_READER_MEMORY_BYTES or "
            "PRESAGIO_READER_SECONDS",
            {"reason": err.reason, "why": err.sentence or str(err)},
        ),
    )


class FileReader:
    """Reads one file by tasks of :mod:`presagio.readings.process.tasks`.

    A file that ends its reader is tried a second time, as the reader may have been ended by
    something else; then the file is refused, so that no other waits for it again.
    """

    def __init__(self, pool: ReaderPool, file: BinaryIO) -> None:
        self._pool, self._file = pool, file

    def about(self, task: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        """Return what a task says of the file, without rows.

        Raises
        ------
        UnreadableFileError
            As the task says, or ``reader_ended``.
        OSError
            If the system lacks something: it is not the file's fault.
        """
        try:
            return self._about(task, arguments)
        except ReaderEndedError:
            try:
                return self._about(task, arguments)
            except ReaderEndedError as err:
                raise _refused(err) from err

    def _about(self, task: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        (part,) = self._pool.read(task, self._file, arguments)
        return part.about

    def frames(self, task: str, arguments: dict[str, Any]) -> Iterator[pl.DataFrame]:
        """Yield the rows of the file, each once; errors as of :meth:`about`."""
        rows = 0
        try:
            for frame in self._frames(task, arguments):
                rows += frame.height
                yield frame
        except ReaderEndedError:
            try:
                yield from self._after(rows, self._frames(task, arguments))
            except ReaderEndedError as err:
                raise _refused(err) from err

    def _frames(self, task: str, arguments: dict[str, Any]) -> Iterator[pl.DataFrame]:
        for part in self._pool.read(task, self._file, arguments):
            yield pl.read_ipc_stream(part.blocks[0])

    @staticmethod
    def _after(rows: int, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Pass over rows that were there in the first try."""
        for frame in frames:
            passed = min(rows, frame.height)
            rows -= passed
            if passed < frame.height:
                yield frame.slice(passed)
