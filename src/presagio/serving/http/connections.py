"""Connections that cannot be held open for nothing: limits on how long a request may take to come.

uvicorn has none for headers and bodies. Most requests come in one piece and need no timer; one is
started only when a piece is missing.
"""

import asyncio
from typing import Any

from presagio.serving.http.open_connections import STATE_KEY, OpenConnections
from presagio.serving.http.pipelining import PipelinedProtocol
from presagio.settings import FLEET_ROUTES

# For a body that nobody wants any more: its sender gets this long to read the refusal.
_LINGER_S = 2.0
# Routes without a token, whose bodies anybody may send.
OPEN_ROUTES = frozenset({"/token", "/model/webhook"})
_BATCH = "/predict/batch"


_SLOW = b"408 Request Timeout", b"The request took too long to arrive."
_CROWDED = b"503 Service Unavailable", b"Too many connections at a time; try again."


def split_path(path: str) -> tuple[str | None, str]:
    """Return the fleet that a path names, None for none, and the route, which each fleet has."""
    if path.startswith(FLEET_ROUTES):
        fleet, slash, route = path.removeprefix(FLEET_ROUTES).partition("/")
        if slash:
            return fleet, slash + route
    return None, path


class TimedProtocol(PipelinedProtocol):
    """One connection; a request that does not come in time is answered 408."""

    _connections: OpenConnections
    _timer: asyncio.TimerHandle | None = None
    _timed = ""

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._connections = self.app_state[STATE_KEY]
        self._set_timer("headers")
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._unset_timer()
        self._connections.remove(self)
        super().connection_lost(exc)

    def changed(self) -> None:
        """Limit the time until the rest of the request comes, if one is missing."""
        if self.transport.is_closing():
            return
        self._connections.update(self)
        stage = self.reads
        if stage == "headers" and self.holds_input:
            # Nothing is read at present: it is not the client who keeps us waiting.
            stage = "nothing"
        elif stage == "body" and self.cycle.response_complete:
            stage = "rest"
        if stage == "nothing":
            self._unset_timer()
        elif self.begins or self._timer is None or stage != self._timed:
            self._set_timer(stage)
        self.begins = False

    @property
    def waits(self) -> bool:
        """Whether there is no whole request, nor one whose sender has shown a token."""
        active = self._active
        if active is None or active.response_complete:
            return True
        return active.more_body and split_path(active.scope["path"])[1] in OPEN_ROUTES

    def make_place(self) -> None:
        """Close this connection, since there are too many."""
        if self.reads == "nothing":
            self.transport.close()
        else:
            self.fail(*_CROWDED)

    def fail(self, status: bytes, why: bytes) -> None:
        """Answer an error after the answers that come before it, and close the connection."""
        self._unset_timer()
        super().fail(status, why)

    def _seconds(self, stage: str) -> float:
        settings = self._connections.settings
        if stage == "headers":
            return settings.api_header_seconds
        if stage == "rest":
            return _LINGER_S
        route = split_path(self.scope["path"])[1]
        if route in OPEN_ROUTES:
            return settings.api_open_body_seconds
        return settings.batch_max_seconds if route == _BATCH else settings.api_body_seconds

    def _set_timer(self, stage: str) -> None:
        self._unset_timer()
        self._timed = stage
        self._timer = self.loop.call_later(self._seconds(stage), self.fail, *_SLOW)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
