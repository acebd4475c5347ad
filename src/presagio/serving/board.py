"""Workers side by side: each says what it serves, all swap together, one wakes the others.

A folder that they share holds a file a worker. What a worker says is replaced as a whole, so that
a reader never sees half of it; one that is killed is told by its process id.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from presagio.serving import metrics

FOLDER_VARIABLE = "PRESAGIO_WORKERS_FOLDER"
_WAKE = "wake"
_LOOK_S = 0.01


@dataclass(frozen=True)
class Worker:
    """What one worker says of itself.

    Attributes
    ----------
    prepared
        The version that it is ready to swap to, as ``model/version/run``; also what it serves.
    since, looked
        When it swapped, and when it last finished a look at the registry; seconds since 1970.
    """

    pid: int
    model: str
    version: str
    degraded: bool
    reason: str | None = None
    prepared: str = ""
    since: float = field(default_factory=time.time)
    looked: float = 0.0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Board:
    """What the workers of one API say; without a folder there is only this one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._own: Worker | None = None
        self._wakes = 0

    def post(self, **changes: object) -> None:
        """Say something new of this worker: fields of :class:`Worker`."""
        known: dict[str, object] = {
            "pid": os.getpid(),
            "model": "",
            "version": "",
            "degraded": True,
        }
        own = Worker(**known | changes) if self._own is None else replace(self._own, **changes)  # type: ignore[arg-type]
        self._own = own
        if self._folder is None:
            return
        handle, scratch = tempfile.mkstemp(dir=self._folder, prefix=".")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(own), file)
        Path(scratch).replace(self._folder / f"{own.pid}.json")

    def workers(self) -> list[Worker]:
        """Return what all living workers say, by process id."""
        if self._folder is None:
            return [] if self._own is None else [self._own]
        found = []
        for path in sorted(self._folder.glob("[0-9]*.json")):
            if not _lives(int(path.stem)):
                path.unlink(missing_ok=True)
                metrics.forget_worker(int(path.stem))
                continue
            # One that has just ended took its file with it.
            with contextlib.suppress(FileNotFoundError):
                found.append(Worker(**json.loads(path.read_bytes())))
        return found

    def leave(self) -> None:
        """Take this worker off the board."""
        if self._folder is not None and self._own is not None:
            (self._folder / f"{self._own.pid}.json").unlink(missing_ok=True)

    def wake(self) -> None:
        """Have every worker look at the registry now."""
        self._wakes += 1
        if self._folder is not None:
            (self._folder / _WAKE).write_text(str(time.time_ns()), encoding="utf-8")

    def woken(self) -> int:
        """Return a number that grows each time that somebody wakes the workers."""
        if self._folder is None:
            return self._wakes
        try:
            return (self._folder / _WAKE).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def wait_prepared(self, wanted: str, limit_s: float) -> bool:
        """Wait until every worker is ready to serve a version; say whether all are."""
        return self._wait(lambda worker: worker.prepared == wanted, limit_s)

    def wait_looked(self, moment: float, limit_s: float) -> bool:
        """Wait until every worker has looked at the registry after a moment."""
        return self._wait(lambda worker: worker.looked >= moment, limit_s)

    def _wait(self, fine: Callable[[Worker], bool], limit_s: float) -> bool:
        until = time.monotonic() + limit_s
        while not all(fine(worker) for worker in self.workers()):
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S)
        return True


def open_board() -> Board:
    """Return the board of the API that this process is a worker of."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Board(Path(named) if named else None)
