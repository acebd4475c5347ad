"""The outermost layer: an id, a limit, a count and safe headers for every request.

Plain ASGI, and not the framework's middleware, which costs a one-row request as much as its
prediction. Routes that are asked thousands of times a second are called from here directly
(decision 18).
"""

import itertools
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from starlette.requests import ClientDisconnect

from presagio.errors import NoChampionError
from presagio.serving.http.bodies import Receive, Scope
from presagio.serving.http.forwarded import Proxies
from presagio.serving.http.problems import RefusedError, internal_error, no_model, problem_response
from presagio.serving.logs import request_id
from presagio.serving.prometheus import ApiMetrics
from presagio.settings import Settings

_log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_GOOD_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_FOR_DATA = (*_ALWAYS, (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"))
# Swagger UI starts itself by a script in its page, and model cards have their style in theirs.
_FOR_PAGES = (
    *_ALWAYS,
    (
        b"content-security-policy",
        (
            b"default-src 'self'; script-src 'self' 'unsafe-inline'; "
            b"style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
        ),
    ),
)
_NEVER_REFUSED = frozenset({"/health/live", "/health/ready", "/metrics"})
_CLIENT_GONE = 499  # as nginx counts a client that left


_JSON = (b"content-type", b"application/json")

Headers = tuple[tuple[bytes, bytes], ...]


class Direct(Protocol):
    """A route that is called without the application's router."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer as ASGI."""
        ...

    def at_once(self, scope: Scope, body: bytes | bytearray, request: str) -> bytes | None:
        """Return the JSON of a 200 to a whole request; None where that takes a wait, or is refused.

        By then, nothing has been counted or kept.
        """
        ...


class _OpenRequest:
    """One request and its answer.

    While a body is awaited, or a client that does not read its answer, the request is not one that
    is being answered: senders and readers that stop halfway keep nobody else out.
    """

    __slots__ = ("_edge", "_id", "_receive", "_send", "_whole", "status")

    def __init__(self, edge: "Edge", request: bytes, receive: Receive, send: Send) -> None:
        self._edge, self._id, self._receive, self._send = edge, request, receive, send
        self._whole, self.status = False, 0

    async def receive(self) -> Message:
        """Return the next part of the body."""
        if self._whole:
            return await self._receive()
        self._edge.in_flight -= 1
        try:
            message = await self._receive()
        finally:
            self._edge.in_flight += 1
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send the next part of the answer, with what belongs to every answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            more = self._edge.for_data
            for key, value in headers:
                if key == b"content-type" and value.startswith(b"text/html"):
                    more = self._edge.for_pages
            message["headers"] = [*headers, (b"x-request-id", self._id), *more]
        elif message.get("more_body"):
            # The answer to a file, which is made while it is read.
            await self._send(message)
            return
        self._edge.in_flight -= 1
        try:
            await self._send(message)
        finally:
            self._edge.in_flight += 1


class Edge:
    """Wraps the application; ``direct`` are routes that are called without its router.

    Attributes
    ----------
    in_flight
        How many requests are being answered.
    for_data, for_pages
        The headers that belong to every answer.
    """

    def __init__(
        self,
        app: Asgi,
        direct: Mapping[tuple[str, str], Direct],
        settings: Settings,
        metrics: ApiMetrics,
        replica: str = "",
    ) -> None:
        which: Headers = ((b"x-presagio-replica", replica.encode()),) if replica else ()
        self.for_data, self.for_pages = _FOR_DATA + which, _FOR_PAGES + which
        self._lines = b"".join(b"%b: %b\r\n" % line for line in (_JSON, *self.for_data))
        self.app, self._direct, self._metrics = app, direct, metrics
        self._most = settings.api_max_concurrency
        self._log_from = {"all": 0, "errors": 400, "none": 1000}[settings.api_access_log]
        self.in_flight, self._proxies = 0, Proxies(settings.trusted_proxies)
        # Ids that nobody can guess, without asking the system for randomness each time.
        self._prefix, self._numbers = os.urandom(8).hex(), itertools.count()

    def _id(self, scope: Scope) -> bytes:
        for key, value in scope["headers"]:
            if key == b"x-request-id" and _GOOD_ID.fullmatch(value):
                given: bytes = value
                return given
        return f"{self._prefix}-{next(self._numbers):x}".encode()

    def at_once(self, scope: Scope, body: bytes | bytearray) -> tuple[bytes, bytes] | None:
        """Return headers and body of a 200 to a whole request on a direct route, or None."""
        direct = self._direct.get((scope["method"], scope["path"]))
        if direct is None or self.in_flight >= self._most:
            return None
        began = time.perf_counter()
        identifier = self._id(scope)
        try:
            answer = direct.at_once(scope, body, identifier.decode())
        except Exception:  # noqa: BLE001 - the usual way meets it again, and reports it
            return None
        if answer is None:
            return None
        if self._log_from <= HTTPStatus.OK:
            request_id.set(identifier.decode())
        self._count(scope, HTTPStatus.OK, began, direct=True)
        return b"%bcontent-length: %d\r\nx-request-id: %b\r\n" % (
            self._lines,
            len(answer),
            identifier,
        ), answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        identifier = self._id(scope)
        request_id.set(identifier.decode())
        exchange = _OpenRequest(self, identifier, receive, send)
        self.in_flight += 1
        direct = self._direct.get((scope["method"], scope["path"]))
        try:
            if self.in_flight > self._most:
                self._refuse_unless_vital(scope["path"])
            if direct is None:
                self._proxies.resolve(scope)
            await (direct or self.app)(scope, exchange.receive, exchange.send)
        except RefusedError as err:
            await self._refuse(err, scope, exchange)
        except NoChampionError as err:
            await self._refuse(no_model(err), scope, exchange)
        except ClientDisconnect:
            exchange.status = exchange.status or _CLIENT_GONE
        except Exception:  # noqa: BLE001 - the edge of the process
            # Whatever broke is logged, and its sender told no more.
            _log.exception("%s %s broke", scope["method"], scope["path"])
            await self._refuse(internal_error(), scope, exchange)
        finally:
            self.in_flight -= 1
            self._count(scope, exchange.status, began, direct=direct is not None)

    def _refuse_unless_vital(self, path: str) -> None:
        if path not in _NEVER_REFUSED:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Too many requests at a time",
                f"{self._most} are being answered; try again", headers={"Retry-After": "1"},
            )  # fmt: skip

    async def _refuse(self, err: RefusedError, scope: Scope, exchange: "_OpenRequest") -> None:
        if not exchange.status:
            await problem_response(err)(scope, exchange.receive, exchange.send)
            self._metrics.refused(err.kind)

    def _count(self, scope: Scope, status: int, began: float, *, direct: bool) -> None:
        seconds = time.perf_counter() - began
        if direct:
            route = scope["path"]
        else:
            # Fleets have applications of their own, each below its own path.
            found = getattr(scope.get("route"), "path", None)
            route = "none" if found is None else scope.get("root_path", "") + found
        self._metrics.answered(route, status, seconds)
        self._metrics.in_flight.set(self.in_flight)
        if status >= self._log_from:
            # Routes of the application have it from the proxies' headers already.
            client = self._proxies.client(scope) if direct else (scope.get("client") or ("",))[0]
            fields = {
                "status": status, "milliseconds": round(seconds * 1e3, 3), "client": client,
            }  # fmt: skip
            _log.info("%s %s %d", scope["method"], scope["path"], status, extra={"fields": fields})
