"""Connections that cannot be held open for nothing: limits on how long a request may take to come.

uvicorn has none for headers and bodies. Most requests come in one piece and need no timer; one is
started only when a piece is missing.
"""

import asyncio
from functools import cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from presagio.settings import Settings, load_settings

_LONGEST_HEADERS = 64 << 10
_SLOW = "The request took too long to arrive."
_LARGE = "The request's headers are too large."
_BATCH = "/predict/batch"


@cache
def _settings() -> Settings:
    # uvicorn makes the protocol itself, from a class that its workers can import by name.
    return load_settings()


class TimedProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it; a request that does not come in time is answered 408."""

    _timer: asyncio.TimerHandle | None = None
    _waits_for = "headers"
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._set_timer(_settings().api_header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._unset_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, and wait for the rest of it if there is one."""
        if self._waits_for in {"headers", "nothing"}:
            self._header_bytes += len(data)
        before = self._waits_for
        super().data_received(data)
        if self._waits_for == "nothing":
            self._header_bytes = 0
            self._unset_timer()
        elif self._waits_for == "headers" and self._header_bytes > _LONGEST_HEADERS:
            self._end(b"431 Request Header Fields Too Large", _LARGE)
        elif self._waits_for != before or self._timer is None:
            settings = _settings()
            if self._waits_for == "headers":
                self._set_timer(settings.api_header_seconds)
            elif self.scope["path"] == _BATCH:
                self._set_timer(settings.batch_max_seconds)
            else:
                self._set_timer(settings.api_body_seconds)

    def on_message_begin(self) -> None:
        """Note that headers come."""
        super().on_message_begin()
        self._waits_for = "headers"

    def on_headers_complete(self) -> None:
        """Note that a body may come."""
        self._waits_for = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._waits_for = "nothing"
        super().on_message_complete()

    def _set_timer(self, seconds: float) -> None:
        self._unset_timer()
        self._timer = self.loop.call_later(seconds, self._end, b"408 Request Timeout", _SLOW)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, status: bytes, why: str) -> None:
        """Close the connection, with an answer unless one has begun."""
        self._timer = None
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started:
            body = why.encode()
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\ncontent-type: text/plain; charset=utf-8\r\n"
                b"content-length: " + str(len(body)).encode() + b"\r\nconnection: close\r\n\r\n"
                + body
            )  # fmt: skip
        self.transport.close()
