"""HTTP/1.1 as uvicorn speaks it, made safe for many requests in one piece and for faulty ones.

Requests on one connection are answered in order, however many come at once. An error is answered
after what is due before it, so that no client takes it for another request's answer.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from presagio.serving.http.upgrades import head_without_upgrade

_MOST_HEADER_BYTES = 64 << 10
_MOST_HEADERS = 100
# The parser cannot be stopped inside of a piece, so no piece holds many requests.
_HEADER_PIECE, _BODY_PIECE = 4 << 10, 16 << 10
_MOST_WAITING = 64

_BAD = b"400 Bad Request", b"The request is not valid HTTP/1.1."
_METHOD = b"405 Method Not Allowed", b"CONNECT is not taken."
_LARGE = b"431 Request Header Fields Too Large", b"The request's headers are too large."


class _TooLargeError(Exception):
    """A request has too many headers."""


class _Flow(FlowControl):
    """Flow control that does not read on while there is input that was not parsed."""

    held = False

    def resume_reading(self) -> None:
        """Read on, unless input waits."""
        if not self.held:
            super().resume_reading()


class PipelinedProtocol(HttpToolsProtocol):
    """One connection.

    Attributes
    ----------
    reads
        What is missing of the request that is read: ``headers``, ``body`` or ``nothing``.
    begins
        Whether that has changed since :meth:`changed` was called.
    progress
        A number that grows when the client reads or an answer ends.
    """

    flow: _Flow
    reads = "headers"
    begins = True
    progress = 0
    _header_bytes = 0
    _unparsed: bytes = b""
    _position = 0
    _active: RequestResponseCycle | None = None
    _failure: bytes | None = None

    def changed(self) -> None:
        """Take note: something has come, or was answered."""

    def connection_made(self, transport: Any) -> None:
        """Begin to read."""
        super().connection_made(transport)
        self.flow = _Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who answers a request, and forget those that wait."""
        self._unparsed = b""
        self.pipeline.clear()
        if self._active is not None and not self._active.response_complete:
            # uvicorn tells the request that was read last only.
            self._active.disconnected = True
            self._active.message_event.set()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self.progress += 1
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, or of several."""
        self._unset_keepalive_if_required()
        if self._failure is not None:
            return
        if self._unparsed:
            data = self._unparsed[self._position :] + data
        self._unparsed, self._position = data, 0
        self._parse()
        self.changed()

    def _parse(self) -> None:
        """Parse what has come, as far as requests may wait to be answered."""
        data = self._unparsed
        while (
            self._position < len(data)
            and len(self.pipeline) < _MOST_WAITING
            and self._failure is None
            and not self.transport.is_closing()
        ):
            size = _BODY_PIECE if self.reads == "body" else _HEADER_PIECE
            if self._position == 0 and len(data) <= size:
                self._parse_piece(data)
            else:
                self._parse_piece(memoryview(data)[self._position : self._position + size])
        if self._position >= len(data):
            self._unparsed, self._position = b"", 0
            self.flow.held = False
        else:
            self.flow.held = True
            self.flow.pause_reading()

    def _parse_piece(self, piece: bytes | memoryview) -> None:
        if self.reads != "body":
            self._header_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as err:
            self._position += err.args[0]
            self._parse_without_upgrade()
            return
        except httptools.HttpParserError as err:
            large = isinstance(err.__context__, _TooLargeError)
            self.fail(*(_LARGE if large else _BAD))
        self._position += len(piece)
        large = self.reads != "body" and self._header_bytes > _MOST_HEADER_BYTES
        if large or len(self.headers or ()) > _MOST_HEADERS:
            self.fail(*_LARGE)

    def _parse_without_upgrade(self) -> None:
        """Parse the request's head again; the parser would skip the body of an upgrade."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self.fail(*_METHOD)
            return
        head, position = (
            head_without_upgrade(method, self.url, version, self.headers),
            self._position,
        )
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse_piece(head)
        self._position = position

    def on_message_begin(self) -> None:
        """Note that headers come."""
        super().on_message_begin()
        self.reads, self.begins, self._header_bytes = "headers", True, 0

    def on_headers_complete(self) -> None:
        """Note that a body may come."""
        if self.parser.should_upgrade():
            return
        if len(self.headers) > _MOST_HEADERS:
            raise _TooLargeError
        self.reads, self.begins = "body", True
        super().on_headers_complete()
        # Trailers come the same way, and are no headers of the request.
        self.headers = []

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        if self.parser.should_upgrade():
            return
        self.reads, self._header_bytes = "nothing", 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def answers(self) -> bool:
        """Whether a request is being answered, or its body is awaited."""
        return self._active is not None and not self._active.response_complete

    @property
    def holds_input(self) -> bool:
        """Whether the client has sent more than is read at present."""
        return bool(self._unparsed or self.pipeline)

    def on_response_complete(self) -> None:
        """Go on with what waits: requests that were not parsed, or an error."""
        self.progress += 1
        super().on_response_complete()
        if self._failure is not None:
            if not self.answers:
                self._finish()
            return
        if self._unparsed:
            self._unset_keepalive_if_required()
            self._parse()
        self.changed()

    def fail(self, status: bytes, why: bytes) -> None:
        """Answer an error after the answers that come before it, and close the connection."""
        if self.transport.is_closing() or self._failure is not None:
            return
        self._failure = (
            b"HTTP/1.1 " + status + b"\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"content-length: " + str(len(why)).encode() + b"\r\nconnection: close\r\n\r\n" + why
        )  # fmt: skip
        if self.reads == "body":
            self._give_up(self.cycle)
        if not self.answers:
            self._finish()

    def _give_up(self, cycle: RequestResponseCycle) -> None:
        """Answer a request no more: it is the one that is at fault."""
        if cycle.response_started:
            # Two answers to one request would be taken for the next one's.
            self._failure = b""
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        elif not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            self._active = None

    def _finish(self) -> None:
        if self._failure:
            self.transport.write(self._failure)
        self.transport.close()
