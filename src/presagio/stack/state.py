"""What a supervisor says of its services, for others to read."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from presagio.errors import StackError
from presagio.stack.layout import Layout

ServiceState = Literal[
    "waiting", "starting", "healthy", "unhealthy", "restarting", "done", "failed",
    "stopping", "stopped",
]  # fmt: skip
Phase = Literal["starting", "healthy", "failed", "stopping", "stopped"]


_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.05


class ServiceStatus(BaseModel):
    """One service as the supervisor sees it.

    Attributes
    ----------
    after
        Seconds from the supervisor's start until this was started; of one that waits still, 0.
    seconds
        From then until it was healthy, or done; so far.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    state: ServiceState
    address: str = ""
    pid: int | None = None
    after: float = 0.0
    seconds: float = 0.0
    restarts: int = 0
    note: str = ""
    is_step: bool = False


class StackStatus(BaseModel):
    """A stack as its supervisor sees it."""

    model_config = ConfigDict(frozen=True)

    pid: int
    phase: Phase
    message: str = ""
    services: tuple[ServiceStatus, ...] = ()


def write_status(layout: Layout, status: StackStatus) -> None:
    """Write the state file in one step: a reader sees the old or the new one."""
    scratch = layout.state.with_suffix(f".{os.getpid()}")
    scratch.write_text(status.model_dump_json(), encoding="utf-8")
    scratch.replace(layout.state)


def read_status(layout: Layout) -> StackStatus | None:
    """Read the state file; None where no stack has been started yet.

    Raises
    ------
    StackError
        If what stands there is no state.
    """
    try:
        return StackStatus.model_validate_json(layout.state.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as err:
        raise StackError(f"{layout.state} cannot be read: {err}; remove it") from err


def _locked(file: TextIO) -> bool:
    # Whoever asks whether a supervisor runs holds the lock for an instant.
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False


@contextmanager
def supervisor_lock(layout: Layout) -> Iterator[None]:
    """Hold the stack's lock; the system lets go of it when the process ends, however it ends.

    The file names the process that holds it.

    Raises
    ------
    StackError
        If another supervisor holds it.
    """
    with layout.lock.open("a+", encoding="ascii") as file:
        if not _locked(file):
            raise StackError(
                f"a stack runs already in {layout.home}; see: presagio status, or presagio down"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def supervisor_pid(layout: Layout) -> int | None:
    """Return the process that holds the stack's lock, if one does."""
    if not layout.lock.exists():
        return None
    with layout.lock.open(encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0) or None
    return None


def is_running(layout: Layout) -> bool:
    """Tell whether a supervisor holds the stack's lock."""
    return supervisor_pid(layout) is not None


def wait_until_stopped(layout: Layout, timeout_s: float) -> bool:
    """Wait until no supervisor holds the lock."""
    deadline = time.monotonic() + timeout_s
    while is_running(layout):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
