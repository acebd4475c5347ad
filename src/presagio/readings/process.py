"""One reader process, seen from its parent: started, given files, ended when it takes too much."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from presagio.errors import DataError, HeaderLimitError, ReaderEndedError, UnreadableFileError
from presagio.readings import channel
from presagio.readings.limits import ReaderLimits

_START_S, _END_S = 60.0, 5.0
# So far a reader may be ahead of who takes the parts: a slow taker seldom holds a reader.
_WINDOW_BYTES = 16 << 20
_TICK_S = 0.25
# What a reader is given of the environment: it needs no secret.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_KEPT_PREFIXES = ("PYTHON", "COVERAGE", "COV_", "POLARS_")


@dataclass(frozen=True)
class Part:
    """A part of a file: what its task says of it, and its blocks of bytes."""

    about: dict[str, Any]
    blocks: tuple[bytes, ...]


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    # More threads than that have no use for one file, and each takes address space.
    threads = str(min(os.cpu_count() or 1, 4))
    return {"POLARS_MAX_THREADS": threads, "MALLOC_ARENA_MAX": "2", **kept}


def _open_ring() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("presagio-reader")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


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

    def __init__(self, reader: "ReaderProcess", job: int, limits: ReaderLimits, ring: int) -> None:
        self._reader, self._job, self._limits, self._ring = reader, job, limits, ring
        self._waiting: deque[tuple[dict[str, Any], list[list[int]]]] = deque()
        self._changed = threading.Condition()
        self._ended: dict[str, Any] | None = None
        self._stopped = False
        # A part may take all of the credit; each that comes gives a second of it back.
        self._since, self._credit = time.monotonic(), limits.seconds

    def pump(self) -> None:
        """Take messages until the file is read, or its reader has to be ended."""
        ended = self._pump()
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

    def __iter__(self) -> Generator[Part]:
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
                yield Part(about, blocks)
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
    match ended.get("fault"):
        case None:
            return
        case "HeaderLimitError":
            raise HeaderLimitError(ended["reason"], message)
        case "UnreadableFileError":
            raise UnreadableFileError(ended["reason"], message)
        case "DataError":
            raise DataError(message)
        case "broken":
            raise UnreadableFileError("corrupt", message)
        case "system":
            raise OSError(ended["errno"], message)
        case "memory":
            raise ReaderEndedError("memory", "reading it takes more memory than a file may take")
        case "time":
            raise ReaderEndedError("time", message)
        case _:
            raise ReaderEndedError("crash", f"its reader ended ({message})")


class ReaderProcess:
    """A process that reads one file after the other.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, limits: ReaderLimits) -> None:
        self._limits, self._jobs, self._bytes = limits, 0, 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._sending = threading.Lock()
        own, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "presagio.readings.child", str(other.fileno()),
                 str(limits.memory_bytes)],
                pass_fds=[other.fileno()], env=_environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True,
            )  # fmt: skip
        self._channel = own
        # A message that has begun to come is taken whole.
        own.settimeout(_START_S)
        try:
            ready = self.receive(_START_S)
        except (channel.ChannelClosedError, TimeoutError) as err:
            self.kill()
            raise OSError(f"a reader process cannot be started: {self._last_words()}") from err
        self._first_bytes = int(ready["bytes"])

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can read another file."""
        return self._process.poll() is None

    @property
    def files(self) -> int:
        """How many files it was given."""
        return self._jobs

    @property
    def is_large(self) -> bool:
        """Whether it has kept so much address space that the next file lacks it."""
        return self._bytes - self._first_bytes > self._limits.memory_bytes // 2

    def receive(self, seconds: float) -> dict[str, Any]:
        """Receive a message; raises TimeoutError when none comes in time."""
        if not select.select([self._channel], [], [], seconds)[0]:
            raise TimeoutError
        message, _ = channel.receive(self._channel)
        self._bytes = int(message.get("bytes", self._bytes))
        return message

    def send(self, message: dict[str, Any], files: tuple[int, ...] = ()) -> None:
        """Send a message; one to a process that is gone is lost."""
        with self._sending, contextlib.suppress(channel.ChannelClosedError):
            channel.send(self._channel, message, files)

    def begin(self, task: str, file: int, arguments: dict[str, Any]) -> Reading:
        """Begin to read an open file; its parts are in the answer."""
        self._jobs += 1
        ring = _open_ring()
        reading = Reading(self, self._jobs, self._limits, ring)
        job = {
            "task": task, "job": self._jobs, "arguments": arguments,
            "window": _WINDOW_BYTES, "seconds": self._limits.seconds,
        }  # fmt: skip
        self.send(job, (file, ring))
        return reading

    def death(self) -> dict[str, Any]:
        """Say of what it ended."""
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        words = self._last_words()
        if "memory allocation" in words or "MemoryError" in words:
            return {"fault": "memory", "message": words}
        if status == -signal.SIGXCPU:
            return {"fault": "time", "message": "it took too much processor time"}
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        return {"fault": "crash", "message": name}

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 2000))
        return self._errors.read().decode(errors="replace")

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Let it end: it does when nobody speaks to it any more."""
        with self._sending:
            self._channel.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def forget(self) -> None:
        """Leave it to the process that it was started by."""
        self._channel.close()
        self._errors.close()
