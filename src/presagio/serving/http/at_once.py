"""A request that came whole, and whose answer needs no wait, is answered in one step.

The usual way takes a task of the event loop, several messages between server and application, and
a check of each header: for one reading that is more work than the prediction (decision 28).
Whatever is not plain goes the usual way from its beginning: nothing has been counted or kept.
"""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from presagio.serving.http.connections import TimedProtocol

# Where the protocol finds the application's function in its state.
AT_ONCE_KEY = "answer_at_once"
# Other connections wait meanwhile.
_MOST_AT_ONCE = 8
_STATUS = b"HTTP/1.1 200 OK\r\n"

# From a request's scope and body to headers, each with its line's end, and body of a 200; or None.
Answering = Callable[[Any, bytearray], tuple[bytes, bytes] | None]


class AtOnceProtocol(TimedProtocol):
    """One connection."""

    _answer: Answering | None = None
    _held: tuple[RequestResponseCycle, Any] | None = None
    _left = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to read."""
        super().connection_made(transport)
        self._answer = self.app_state.get(AT_ONCE_KEY)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, or of several, and answer what can be answered at once."""
        self._left = _MOST_AT_ONCE if self._answer is not None else 0
        super().data_received(data)
        while self._held is not None:
            (cycle, app), self._held = self._held, None
            self._left -= 1
            if not self._answered(cycle):
                super()._start_asgi_task(cycle, app)
        self._left = 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._left > 0:
            # Until the parser is through with what has come, the body may be among it.
            self._active, self._held = cycle, (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def _answered(self, cycle: RequestResponseCycle) -> bool:
        """Answer a request, if that needs no wait."""
        if cycle.more_body or cycle.disconnected or self.flow.write_paused or not self._answer:
            return False
        answer = self._answer(cycle.scope, cycle.body)
        if answer is None:
            return False
        headers, body = answer
        lines = [_STATUS]
        for name, value in cycle.default_headers:
            lines += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join((*lines, headers, b"\r\n", body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True
