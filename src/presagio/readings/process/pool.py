"""Reader processes that are kept warm: lent to one file at a time, replaced when they end."""

import atexit
import contextlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

from presagio.errors import ReadersBusyError
from presagio.readings.process.reader_limits import ReaderLimits
from presagio.readings.process.reader_process import ReaderProcess
from presagio.readings.process.reading import Reading, ReadPart

_log = logging.getLogger(__name__)
# Then a new one takes its place, so that memory goes back.
_MOST_FILES = 500
_COPIED = 1 << 20


@contextlib.contextmanager
def _as_descriptor(file: BinaryIO) -> Iterator[int]:
    """Give the descriptor of an open file; one that is in memory only is written to a disk."""
    try:
        number = file.fileno()
    except (AttributeError, OSError):
        file.seek(0)
        with tempfile.TemporaryFile(prefix="presagio-read-") as copy:
            while block := file.read(_COPIED):
                copy.write(block)
            copy.flush()
            yield copy.fileno()
    else:
        yield number


class ReaderPool:
    """Reads files in processes of its own.

    Parameters
    ----------
    limits
        What a file may take.
    size
        How many files are read at a time; the processes are started when they are needed.
    """

    def __init__(self, limits: ReaderLimits, size: int = 2) -> None:
        self.limits = limits
        self._size, self._started = size, 0
        self._idle: list[ReaderProcess] = []
        self._changed = threading.Condition()
        self._closed = False

    @property
    def idle(self) -> list[int]:
        """Process ids of the readers that wait for a file."""
        return [reader.pid for reader in self._idle]

    def read(
        self, task: str, file: BinaryIO, arguments: dict[str, Any], wait_s: float | None = None
    ) -> Generator[ReadPart]:
        """Yield the parts of a file, read by a task of :mod:`presagio.readings.process.tasks`.

        Parameters
        ----------
        task
            Name of the task.
        file
            The open file; it may be closed once the first part is there.
        arguments
            What the task needs, as plain data.
        wait_s
            How long to wait for a reader; as long as it takes when not given.

        Raises
        ------
        DataError, UnreadableFileError
            If the file is not what it should be.
        ReaderEndedError
            If it ended its reader: by a crash, or by its limits.
        ReadersBusyError
            If no reader was free in time.
        OSError
            If the system lacks something: it is not the file's fault.
        """
        reader = self._lend(wait_s)
        try:
            with _as_descriptor(file) as number:
                reading = Reading(reader, *reader.begin(task, number, arguments), self.limits)
        except BaseException:
            self._give_back(reader)
            raise
        threading.Thread(target=self._pump, args=(reader, reading), daemon=True).start()
        yield from reading

    def _pump(self, reader: ReaderProcess, reading: Reading) -> None:
        reading.pump()
        self._give_back(reader)

    def _lend(self, wait_s: float | None) -> ReaderProcess:
        until = None if wait_s is None else time.monotonic() + wait_s
        with self._changed:
            while not self._idle and self._started >= self._size:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise ReadersBusyError(
                        f"all {self._size} readers are busy with other files; send it again later"
                    )
                self._changed.wait(left)
            if self._idle:
                reader = self._idle.pop()
                if reader.is_alive:
                    return reader
                reader.close()
            else:
                self._started += 1
        return self._start()

    def _start(self) -> ReaderProcess:
        try:
            return ReaderProcess(self.limits)
        except BaseException:
            with self._changed:
                self._started -= 1
                self._changed.notify()
            raise

    def _give_back(self, reader: ReaderProcess) -> None:
        """Take a reader back; one that ended, is old or has grown is replaced at once."""
        try:
            if not reader.is_alive or reader.is_large or reader.files >= _MOST_FILES:
                reader.close()
                reader = self._start()
        except Exception:  # noqa: BLE001 - logged; the slot is free again
            _log.exception("no reader process could be started; the next file tries again")
            return
        with self._changed:
            if self._closed:
                reader.close()
                return
            self._idle.append(reader)
            self._changed.notify()

    def close(self) -> None:
        """End the processes."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()

    def forget(self) -> None:
        """Leave the processes to the process that started them; this one is a copy of it."""
        for reader in self._idle:
            reader.forget()
        self._idle, self._started, self._changed = [], 0, threading.Condition()


_pools: dict[tuple[ReaderLimits, int], ReaderPool] = {}
_opening = threading.Lock()


def open_pool(limits: ReaderLimits, size: int = 2) -> ReaderPool:
    """Return this process's pool for these limits: one, however many ask for it."""
    with _opening:
        return _pools.setdefault((limits, size), ReaderPool(limits, size))


def _end() -> None:
    for pool in _pools.values():
        pool.close()


def _forget() -> None:
    for pool in _pools.values():
        pool.forget()


atexit.register(_end)
os.register_at_fork(after_in_child=_forget)
