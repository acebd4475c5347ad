"""The reading of one file, seen from the parent: its parts as they come, and how it ended."""

import os
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from presagio.errors import DataError, HeaderLimitError, ReaderEndedError, UnreadableFileError
from presagio.readings.process import channel
from presagio.readings.process.reader_limits import ReaderLimits
from presagio.readings.process.reader_process import ReaderProcess
from presagio.sentences import read_sentence

_TICK_S = 0.25


@dataclass(frozen=True)
class ReadPart:
    """A part of a file: what its task says of it, and its blocks of bytes."""

    about: dict[str, Any]
    blocks: tuple[bytes, ...]


def _exactly(file: int, offset: int, length: int) -> bytes:
    # One call for nearly every block: a copy, so that nobody changes what was looked at.
    raw = os.pread(file, length, offset)
    while len(raw) < length:
        more = os.pread(file, length - len(raw), offset + len(raw))
        if not more:
            raise ReaderEndedError("crash", "its reader left less than it said")
        raw += more
    return raw


class Reading:
    """The parts of one file, as they come; a thread takes them from the reader meanwhile."""

    def __init__(self, reader: ReaderProcess, job: int, ring: int, limits: ReaderLimits) -> None:
        self._reader, self._job, self._ring, self._limits = reader, job, ring, limits
        self._waiting: deque[tuple[dict[str, Any], list[list[int]]]] = deque()
        self._changed = threading.Condition()
        self._ended: dict[str, Any] | None = None
        self._stopped = False
        # A part may take all of the credit; each that comes gives a second of it back.
        self._since, self._credit = time.monotonic(), limits.seconds

    def pump(self) -> None:
        """Take messages until the file is read, or its reader has to be ended."""
        try:
            ended = self._pump()
        except Exception as err:  # noqa: BLE001 - who takes the parts would wait for ever
            self._reader.kill()
            ended = {"fault": "crash", "message": f"{type(err).__name__}: {err}"}
        with self._changed:
            self._ended = ended
            self._changed.notify_all()

    def _pump(self) -> dict[str, Any]:
        while True:
            try:
                message = self._reader.receive(_TICK_S)
            except TimeoutError:
                # Nothing came yet.
                if self._is_late():
                    self._reader.kill()
                    seconds = f"{self._limits.seconds:g} seconds"
                    return {"fault": "time", "message": f"it took over {seconds} for a part"}
                continue
            except (channel.ChannelClosedError, ValueError):
                return self._reader.death()
            if "part" not in message:
                return message
            self._add(message)

    def _add(self, message: dict[str, Any]) -> None:
        with self._changed:
            now = time.monotonic()
            left = self._credit - (now - self._since) + 1
            self._since, self._credit = now, min(left, self._limits.seconds)
            if not self._stopped:
                self._waiting.append((message["part"], message["blocks"]))
            self._changed.notify_all()

    def _is_late(self) -> bool:
        with self._changed:
            # While parts wait to be taken, the reader may be waiting too.
            return not self._waiting and time.monotonic() - self._since > self._credit

    def _stop(self) -> None:
        """Let the reader leave the rest of the file; it is free then."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
        self._reader.send({"job": self._job, "stop": True})

    def __iter__(self) -> Generator[ReadPart]:
        """Yield the parts in order.

        Raises
        ------
        DataError, UnreadableFileError
            If the file is not what it should be.
        ReaderEndedError
            If it ended its reader.
        OSError
            If the system lacks something that the reader needed.
        """
        try:
            while (found := self._next()) is not None:
                about, places = found
                blocks = tuple(_exactly(self._ring, offset, length) for offset, length in places)
                with self._changed:
                    self._since = time.monotonic()
                self._reader.send({"job": self._job, "taken": True})
                yield ReadPart(about, blocks)
        finally:
            if self._ended is None:
                self._stop()
            os.close(self._ring)
        _raise_for(self._ended or {})

    def _next(self) -> tuple[dict[str, Any], list[list[int]]] | None:
        with self._changed:
            while not self._waiting and self._ended is None:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None


def _raise_for(ended: dict[str, Any]) -> None:
    """Raise what a reader says went wrong with its file."""
    message = ended.get("message", "")
    sentence = read_sentence(ended.get("sentence")) or message
    match ended.get("fault"):
        case None:
            return
        case "HeaderLimitError":
            raise HeaderLimitError(ended["reason"], sentence)
        case "UnreadableFileError":
            raise UnreadableFileError(ended["reason"], sentence)
        case "DataError":
            raise DataError(message)
        case "broken":
            raise UnreadableFileError("corrupt", sentence)
        case "system":
            raise OSError(ended["errno"], message)
        case "memory":
            raise ReaderEndedError("memory", "reading it takes more memory than a file may take")
        case "time":
            raise ReaderEndedError("time", message)
        case _:
            raise ReaderEndedError("crash", f"its reader ended ({message})")
