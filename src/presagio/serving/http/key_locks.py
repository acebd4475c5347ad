"""Locks by key between the workers of one API: one of them at a time works under a key.

A lock is a file that is locked by flock, so the system releases it when its worker is killed. The
object store cannot decide between workers: not every one knows conditional writes.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

_LOOK_S = 0.02


class KeyLocks:
    """Locks in a folder that the workers share; without one, locks of this process alone."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: set[str] = set()

    @contextlib.asynccontextmanager
    async def hold(self, key: str, limit_s: float) -> AsyncIterator[None]:
        """Hold a key's lock; wait for it as long as that.

        Raises
        ------
        TimeoutError
            If somebody else holds it all that time.
        """
        # By its digest: what somebody sends is no name of a file.
        name = f"{hashlib.sha256(key.encode()).hexdigest()}.lock"
        path = self._folder / name if self._folder else None
        until, handle = time.monotonic() + limit_s, None
        while name in self._held or (path and (handle := _try_lock(path)) is None):
            if time.monotonic() >= until:
                raise TimeoutError(f"{key} is locked")
            await asyncio.sleep(_LOOK_S)
        self._held.add(name)
        try:
            yield
        finally:
            self._held.discard(name)
            if path and handle is not None:
                # Removed while it is locked, so who comes next finds no file that is in use.
                path.unlink(missing_ok=True)
                os.close(handle)


def _try_lock(path: Path) -> int | None:
    """Return a handle that holds the lock, or None if somebody else does."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The one before may have removed the file between these two steps.
        if os.fstat(handle).st_ino == path.stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None
