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
from typing import Any

from presagio.readings.process import channel
from presagio.readings.process.reader_limits import ReaderLimits

_START_S, _END_S = 60.0, 5.0
# So far a reader may be ahead of who takes the parts: a slow taker seldom holds a reader.
_WINDOW_BYTES = 16 << 20
# What a reader is given of the environment: it needs no secret. By the last one a stack finds what
# is left of it.
_KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
    "PRESAGIO_STACK_HOME",
)  # fmt: skip
_KEPT_PREFIXES = ("PYTHON", "COVERAGE", "COV_", "POLARS_")


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
        parent, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "presagio.readings.process.child", str(other.fileno()),
                 str(limits.memory_bytes)],
                pass_fds=[other.fileno()], env=_environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True,
            )  # fmt: skip
        self._channel = parent
        # A message that has begun to come is taken whole.
        parent.settimeout(_START_S)
        try:
            ready = self.receive(_START_S)
        except (channel.ChannelClosedError, TimeoutError) as err:
            words = self._last_words()
            self.kill()
            raise OSError(f"a reader process cannot be started: {words}") from err
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

    def begin(self, task: str, file: int, arguments: dict[str, Any]) -> tuple[int, int]:
        """Begin to read an open file.

        Returns
        -------
        int, int
            The number of the job, and the open ring file that its parts will lie in.
        """
        self._jobs += 1
        ring = _open_ring()
        job = {
            "task": task, "job": self._jobs, "arguments": arguments,
            "window": _WINDOW_BYTES, "seconds": self._limits.seconds,
        }  # fmt: skip
        self.send(job, (file, ring))
        return self._jobs, ring

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
