"""The reader process: reads one file after the other, under limits of its own.

``python -m presagio.readings.process.child SOCKET MEMORY_BYTES`` is started by
:mod:`presagio.readings.process.reader_process`, never by hand.
"""

import contextlib
import errno
import os
import queue
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from polars.exceptions import PanicException, PolarsError

from presagio.errors import DataError, UnreadableFileError
from presagio.readings.process import channel
from presagio.readings.process.memory import limit_memory, status_bytes
from presagio.readings.process.ring import Ring, StoppedError
from presagio.readings.process.tasks import TASKS
from presagio.sentences import Sentence, sentence_json

# Faults of the system, not of the file: the reading can be tried again.
_SYSTEM = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO}
_Job = tuple[dict[str, Any], list[int]]


def _limit_time(seconds: float) -> None:
    """Limit the processor time of the next part: for the case that the parent is gone."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    most = used + seconds * (os.cpu_count() or 1) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(most) + 1, hard))


def _fault(err: BaseException, form: str) -> dict[str, Any]:
    """Describe what went wrong with a file, as plain data."""
    first = (str(err) or type(err).__name__).partition("\n")[0][:500]
    number = err.errno if isinstance(err, OSError) else None
    if isinstance(err, UnreadableFileError | DataError):
        kind = type(err).__name__
        sentence = None if err.sentence is None else sentence_json(err.sentence)
        reason = getattr(err, "reason", "")
        return {"fault": kind, "reason": reason, "message": str(err), "sentence": sentence}
    if isinstance(err, MemoryError) or number == errno.ENOMEM:
        kind = "memory"
    elif number in _SYSTEM:
        kind = "system"
    elif isinstance(err, PolarsError | PanicException | OSError | RecursionError | OverflowError):
        broken = Sentence("it cannot be read as %(form)s: %(why)s", {"form": form, "why": first})
        return {"fault": "broken", "message": str(broken), "sentence": sentence_json(broken)}
    else:
        kind, first = "unforeseen", f"{type(err).__name__}: {first}"
    return {"fault": kind, "errno": number, "message": first}


class _Reader:
    """Takes jobs from the socket, and reads their files."""

    def __init__(self, connection: socket.socket) -> None:
        self._channel = connection
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._current, self._ring = -1, Ring(-1, 0)

    def listen(self) -> None:
        """Take messages until the parent is gone; then this process ends at once."""
        with contextlib.suppress(BaseException):
            while True:
                message, files = channel.receive(self._channel)
                if "task" in message:
                    self._current = message["job"]
                    self._ring = Ring(files[1], message["window"])
                    self._jobs.put((message, files))
                elif message["job"] != self._current:
                    # A part of an earlier file, whose ring is gone.
                    continue
                elif "stop" in message:
                    self._ring.stop()
                else:
                    self._ring.taken()
        os._exit(0)

    def _read(self, job: dict[str, Any], files: list[int]) -> dict[str, Any]:
        ring = self._ring
        _limit_time(job["seconds"])
        # By this name the open file is read wherever it lies, also when it has no name any more.
        path = Path(f"/dev/fd/{files[0]}")
        for about, blocks in TASKS[job["task"]].run(path, job["arguments"]):
            places = ring.write(blocks)
            channel.send(self._channel, {"part": about, "blocks": places})
            _limit_time(job["seconds"])
        return {"end": True}

    def work(self) -> None:
        """Read files for as long as there are jobs."""
        while True:
            job, files = self._jobs.get()
            try:
                answer = self._read(job, files)
            except StoppedError:
                answer = {"end": False}
            except (SystemExit, channel.ChannelClosedError):
                raise
            except BaseException as err:  # noqa: BLE001 - a panic is no Exception
                answer = _fault(err, TASKS[job["task"]].form)
            for file in files:
                os.close(file)
            answer["bytes"] = status_bytes("VmSize:")
            channel.send(self._channel, answer)


def main() -> None:
    """Read files until the parent is gone, and no shorter: whoever stops a service signals all."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    taken = limit_memory(int(sys.argv[2]))
    reader = _Reader(connection)
    threading.Thread(target=reader.listen, daemon=True).start()
    channel.send(connection, {"ready": os.getpid(), "bytes": taken})
    with contextlib.suppress(channel.ChannelClosedError):
        reader.work()
    os._exit(0)


if __name__ == "__main__":
    main()
