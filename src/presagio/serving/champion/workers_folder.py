"""A folder in which the workers of one replica say what they serve: a file each.

What a worker says is replaced as a whole, so that a reader never sees half of it; one that is
killed is told by its process id. What lies in the folder is read as input: a file that is no
worker's is not one, and a full disk stops nobody.
"""

import contextlib
import json
import logging
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from presagio.serving import prometheus

_log = logging.getLogger(__name__)
_WAKE = "wake"
_LARGEST_BYTES = 1 << 16
_FILE = re.compile(r"([1-9][0-9]{0,8})\.json")
_Time = Annotated[float, Field(allow_inf_nan=False, ge=0)]


@dataclass(frozen=True)
class Worker:
    """What one worker says of itself.

    Attributes
    ----------
    prepared
        The version that it is ready to swap to, as ``model/version/run``; also what it serves.
    since, looked, finished
        When it swapped, when the last look at the registry that it finished began, and when that
        one ended; seconds since 1970.
    started
        When it started; also seconds since 1970.
    late
        Seconds from the agreed moment to its last swap; 0 where it swapped at that moment.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    pid: int
    model: str
    version: str
    degraded: bool
    reason: str | None = None
    prepared: str = ""
    since: _Time = field(default_factory=time.time)
    looked: _Time = 0.0
    finished: _Time = 0.0
    started: _Time = field(default_factory=time.time)
    late: _Time = 0.0

    def look_age(self) -> float:
        """Return the seconds since it last finished a look at the registry, or since its start."""
        return max(time.time() - max(self.finished, self.started), 0.0)


_WORKER: TypeAdapter[Worker] = TypeAdapter(Worker)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class WorkersFolder:
    """The folder, as one of its workers uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._odd: set[str] = set()

    def post(self, state: Worker) -> None:
        """Replace what this worker says."""
        try:
            handle, scratch = tempfile.mkstemp(dir=self._folder, prefix=".")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(state), file)
            Path(scratch).replace(self._folder / f"{state.pid}.json")
        except OSError as err:
            self._report("post", f"the other workers do not see what this one serves: {err}")

    def remove(self, state: Worker) -> None:
        """Remove what this worker says."""
        with contextlib.suppress(OSError):
            (self._folder / f"{state.pid}.json").unlink()

    def workers(self) -> list[Worker]:
        """Return what all living workers say, by process id."""
        return [worker for path in self._files() if (worker := self._read(path)) is not None]

    def wake(self) -> None:
        """Change what :meth:`woken` returns, for all workers."""
        try:
            (self._folder / _WAKE).write_text(str(time.time_ns()), encoding="utf-8")
        except OSError as err:
            self._report("wake", f"the other workers cannot be woken: {err}")

    def woken(self) -> int:
        """Return a number that changes each time that somebody wakes the workers."""
        try:
            return (self._folder / _WAKE).stat().st_mtime_ns
        except OSError:
            return 0

    def _files(self) -> list[Path]:
        try:
            entries = sorted(self._folder.iterdir())
        except OSError as err:
            self._report("folder", f"the workers' folder cannot be read: {err}")
            return []
        return [entry for entry in entries if _FILE.fullmatch(entry.name)]

    def _read(self, path: Path) -> Worker | None:
        pid = int(path.stem)
        if not _lives(pid):
            with contextlib.suppress(OSError):
                path.unlink()
            prometheus.forget_worker(pid)
            return None
        try:
            with path.open("rb") as file:
                return replace(_WORKER.validate_json(file.read(_LARGEST_BYTES)), pid=pid)
        except FileNotFoundError:
            # One that has just ended took its file with it.
            return None
        except (OSError, ValidationError) as err:
            self._report(path.name, f"{path} says nothing of a worker: {str(err)[:200]}")
            return None

    def _report(self, what: str, message: str) -> None:
        """Log a fault once."""
        if what not in self._odd:
            self._odd.add(what)
            _log.warning("%s", message)
