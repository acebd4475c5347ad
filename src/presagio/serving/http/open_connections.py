"""The open connections of one worker: how many there are, and which of them do not read.

When there are too many, the one that has waited longest without a whole request makes place, so
that connections which are held open for nothing keep nobody out.
"""

import asyncio
import logging
import resource
from typing import Protocol

from presagio.settings import Settings

_log = logging.getLogger(__name__)
# Where the protocol finds this object in the state of the application.
STATE_KEY = "open_connections"
# What the process opens besides connections: libraries, the store, the registry, files.
_OTHER_FILES = 256
_FEWEST = 64
# A client reads if it takes so many bytes within the time limit.
_READ_BYTES = 16 << 10
_LOOKS = 4


class Connection(Protocol):
    """What is asked of a connection.

    Attributes
    ----------
    transport
        Its transport.
    waits
        Whether it has no whole request that is being answered.
    progress
        A number that grows when the client reads or an answer ends.
    """

    transport: asyncio.Transport
    progress: int

    @property
    def waits(self) -> bool:
        """Whether it has no whole request that is being answered."""
        ...

    def make_place(self) -> None:
        """Close it, since there are too many."""
        ...


def _limit(settings: Settings) -> int:
    """Return how many connections there may be, with the files that the process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = settings.api_max_connections
    if files == resource.RLIM_INFINITY or most <= files - _OTHER_FILES:
        return most
    fewer = max(files - _OTHER_FILES, _FEWEST)
    _log.warning(
        "this process may open %d files only: %d connections at a time, not %d",
        files, fewer, most,
    )  # fmt: skip
    return fewer


class OpenConnections:
    """Knows all connections of one worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self._most = settings, _limit(settings)
        # Ordered by how long they wait.
        self._waiting: dict[Connection, None] = {}
        # With progress, bytes not read and the time when these last changed.
        self._open: dict[Connection, tuple[int, int, float]] = {}
        self._look: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Take a new connection in; close one if there are too many."""
        self._open[connection] = 0, 0, 0.0
        self._waiting[connection] = None
        if len(self._open) > self._most:
            # The new one itself, where all others are being answered.
            next(iter(self._waiting)).make_place()
        if self._look is None:
            self._look_later()

    def update(self, connection: Connection) -> None:
        """Note whether a connection waits; one that begins to is the last in the row."""
        if not connection.waits:
            self._waiting.pop(connection, None)
        elif connection not in self._waiting and connection in self._open:
            self._waiting[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)
        self._waiting.pop(connection, None)

    def _look_later(self) -> None:
        seconds = self.settings.api_write_seconds / _LOOKS
        self._look = asyncio.get_running_loop().call_later(seconds, self._close_unread)

    def _close_unread(self) -> None:
        """Close the connections whose clients have not read for too long."""
        self._look = None
        now = asyncio.get_running_loop().time()
        for connection, (progress, unread, since) in list(self._open.items()):
            size = connection.transport.get_write_buffer_size()
            if not size and not unread:
                continue
            if not unread or not size or progress != connection.progress or (
                size <= unread - _READ_BYTES
            ):  # fmt: skip
                self._open[connection] = connection.progress, size, now
            elif now - since >= self.settings.api_write_seconds:
                _log.info("closed a connection whose client does not read: %d bytes wait", size)
                # Not close(), which waits until all is read.
                connection.transport.abort()
        if self._open:
            self._look_later()
