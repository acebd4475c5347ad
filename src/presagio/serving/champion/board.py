"""Workers side by side: each says what it serves, all swap together, one wakes the others.

A folder that they share holds a file a worker. What a worker says is replaced as a whole, so that
a reader never sees half of it; one that is killed is told by its process id. What lies in the
folder is read as input: a file that is no worker's is not one, and a full disk stops nobody.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from presagio.serving import prometheus

_log = logging.getLogger(__name__)
FOLDER_VARIABLE = "PRESAGIO_WORKERS_FOLDER"
_WAKE = "wake"
_LOOK_S = 0.01
_ASK_S = 0.05
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


class Board:
    """What the workers of one API say; without a folder there is only this one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._posted: Worker | None = None
        self._wakes = 0
        self._odd: set[str] = set()

    def post(self, **changes: object) -> None:
        """Say something new of this worker: fields of :class:`Worker`."""
        known: dict[str, object] = {
            "pid": os.getpid(),
            "model": "",
            "version": "",
            "degraded": True,
        }
        before = self._posted
        state = Worker(**known | changes) if before is None else replace(before, **changes)  # type: ignore[arg-type]
        self._posted = state
        if self._folder is None:
            return
        try:
            handle, scratch = tempfile.mkstemp(dir=self._folder, prefix=".")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(state), file)
            Path(scratch).replace(self._folder / f"{state.pid}.json")
        except OSError as err:
            self._report("post", f"the other workers do not see what this one serves: {err}")

    def workers(self) -> list[Worker]:
        """Return what all living workers say, by process id."""
        if self._folder is None:
            return [] if self._posted is None else [self._posted]
        return [worker for path in self._files() if (worker := self._read(path)) is not None]

    def _files(self) -> list[Path]:
        try:
            entries = sorted(self._folder.iterdir()) if self._folder is not None else []
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

    def leave(self) -> None:
        """Take this worker off the board."""
        if self._folder is not None and self._posted is not None:
            with contextlib.suppress(OSError):
                (self._folder / f"{self._posted.pid}.json").unlink()

    def wake(self) -> None:
        """Have every worker look at the registry now."""
        self._wakes += 1
        if self._folder is None:
            return
        try:
            (self._folder / _WAKE).write_text(str(time.time_ns()), encoding="utf-8")
        except OSError as err:
            self._report("wake", f"the other workers cannot be woken: {err}")

    def woken(self) -> int:
        """Return a number that changes each time that somebody wakes the workers."""
        if self._folder is None:
            return self._wakes
        try:
            return (self._folder / _WAKE).stat().st_mtime_ns
        except OSError:
            return 0

    def wait_prepared(self, wanted: str, limit_s: float) -> bool:
        """Wait until every worker is ready to serve a version; say whether all are."""
        until = time.monotonic() + limit_s
        while not self._all(lambda worker: worker.prepared == wanted):
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S)
        return True

    async def wait_looked(self, moment: float, limit_s: float) -> bool:
        """Wait until every worker has finished a look that began after a moment; say whether all.

        On the event loop, so that those who wait hold no thread.
        """
        until = time.monotonic() + limit_s
        while not self._all(lambda worker: worker.looked >= moment):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(_ASK_S)
        return True

    def _all(self, fine: Callable[[Worker], bool]) -> bool:
        return all(fine(worker) for worker in self.workers())


def workers_folder() -> Path | None:
    """Return the folder that the workers of this process's API share; None where it is alone."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else None


def open_board(of: str = "") -> Board:
    """Return a board of the API that this process is a worker of.

    Parameters
    ----------
    of
        What its workers say something of, where that is not the champion of the default fleet.
    """
    folder = workers_folder()
    if folder is not None and of:
        folder = folder / of
        folder.mkdir(exist_ok=True)
    return Board(folder)
