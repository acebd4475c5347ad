"""One HTTP exchange with the registry: bounded in size and in total time, whatever it answers.

httpx bounds each read, not their sum: a server that sends one byte every few seconds holds its
caller for hours, in the headers already. So connections are made by httpcore, over a network
backend that knows the time at which the exchange has to be over.
"""

import base64
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import httpcore
import httpx

# Answers as text: a listing of 100 versions with their descriptions is some 500 kB. A parsed
# answer can take 40 times its size, so this is also what bounds the memory of a parse.
_LARGEST_ANSWER = 2 << 20
_SHOWN = 300


class ExchangeError(Exception):
    """The registry did not answer, or with something else than what was asked for."""


class StatusError(ExchangeError):
    """The registry answered with an error; ``body`` is its bounded content."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"it answers with status {status}")
        self.status, self.body = status, body


def shown(text: str) -> str:
    """Return a text from outside as it may stand in a message: printable, and not long."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])
    return clean + ("..." if len(text) > _SHOWN else "")


class Deadline:
    """A time that everything of one task has to be over by."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, at_most: float | None = None) -> float:
        """Return the seconds that are left, and ``at_most`` so many.

        Raises
        ------
        ExchangeError
            If none is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise ExchangeError(f"it took longer than {self.seconds:g} s")
        return left if at_most is None else min(left, at_most)


class _Stream(httpcore.NetworkStream):
    """A connection on which nothing is awaited beyond the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        left = self._deadline.left(timeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline, self._inner = deadline, httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        stream = self._inner.connect_tcp(
            host, port, self._deadline.left(timeout), local_address, socket_options
        )
        return _Stream(stream, self._deadline)


@dataclass(frozen=True)
class _Reply:
    """An answer whose body is still to come, as it was sent."""

    response: httpcore.Response

    def parts(self, at_most: int) -> Iterator[bytes]:
        """Yield the body.

        Raises
        ------
        ExchangeError
            If it is larger than ``at_most`` bytes.
        """
        size = 0
        for part in self.response.iter_stream():
            size += len(part)
            if size > at_most:
                raise ExchangeError(f"its answer is larger than {at_most} bytes")
            yield part


class Exchange:
    """Asks one server. Safe to use from several threads: no connection stays open."""

    def __init__(self, url: str, *, timeout_s: float, account: tuple[str, str] | None) -> None:
        self._url, self.timeout_s = url.rstrip("/"), timeout_s
        parts = urlsplit(url)
        if account is None and parts.username is not None:
            account = unquote(parts.username), unquote(parts.password or "")
        self._headers: dict[bytes | str, bytes | str] = {
            # Unpacked, a small answer may be a large one.
            "Accept-Encoding": "identity",
            "User-Agent": "presagio",
        }
        if account is not None:
            coded = base64.b64encode(":".join(account).encode()).decode()
            self._headers["Authorization"] = f"Basic {coded}"
        # As httpx makes it: SSL_CERT_FILE and SSL_CERT_DIR are looked at.
        self._tls = httpx.create_ssl_context() if self._url.startswith("https:") else None

    def get(self, path: str, parameters: dict[str, str | int], deadline: Deadline) -> bytes:
        """Return the whole of a short answer."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        with self._ask(path + query, deadline) as reply:
            return b"".join(reply.parts(_LARGEST_ANSWER))

    def save(self, path: str, file: Path, at_most: int, deadline: Deadline) -> int:
        """Write an answer to a file; return its size."""
        size = 0
        with self._ask(path, deadline) as reply, file.open("wb") as out:
            for part in reply.parts(at_most):
                size += out.write(part)
        return size

    @contextmanager
    def _ask(self, path: str, deadline: Deadline) -> Iterator[_Reply]:
        pool = httpcore.ConnectionPool(
            self._tls, max_connections=1, max_keepalive_connections=0, retries=1,
            network_backend=_Backend(deadline),
        )  # fmt: skip
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self.timeout_s)
        try:
            with (
                pool,
                pool.stream(
                    "GET", self._url + path, headers=self._headers, extensions={"timeout": timeout}
                ) as response,
            ):
                reply = _Reply(response)
                _check(reply)
                yield reply
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError,
                httpcore.UnsupportedProtocol, ssl.SSLError, ValueError) as err:  # fmt: skip
            raise ExchangeError(shown(str(err)) or type(err).__name__) from err


def _check(reply: _Reply) -> None:
    """Check that an answer is one that can be read.

    Raises
    ------
    ExchangeError
        If it is an error, leads elsewhere, or is packed.
    """
    status = reply.response.status
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise ExchangeError(f"it answers with status {status}; redirects are not followed")
    if status != HTTPStatus.OK:
        raise StatusError(status, b"".join(reply.parts(_LARGEST_ANSWER)))
    for name, value in reply.response.headers:
        if name.lower() == b"content-encoding" and value.lower() != b"identity":
            coding = shown(value.decode("latin-1"))
            raise ExchangeError(f"its answer is packed ({coding}), which was not asked for")
