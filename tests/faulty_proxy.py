"""A proxy in front of the real S3 server, which makes it slow, silent, short of breath or ill."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["none", "500", "503", "hang", "slow", "cut", "after", "short", "altered"]
_HANG_S = 3.0
_SLOW_S = 0.3


@dataclass
class FaultyProxy:
    """What the proxy does with requests.

    Attributes
    ----------
    choose
        Says, for the n-th request (from 0), which fault it meets. ``cut`` breaks the answer off in
        the middle, ``after`` carries the request out and then answers 500. ``short`` and
        ``altered`` lie: objects lose their second half, or a byte, and the headers agree.
    """

    upstream: tuple[str, int]
    choose: Callable[[int], Fault] = lambda _number: "none"
    met: list[Fault] = field(default_factory=list)
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_fault(self) -> Fault:
        with self._lock:
            fault = self.choose(len(self.met))
            self.met.append(fault)
            return fault

    def forget(self) -> None:
        self.met.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(*self.proxy.upstream, timeout=30)
        try:
            # The host stays the proxy's: it is signed.
            upstream.request(self.command, self.path, body, dict(self.headers.items()))
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: bool) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = next((v for n, v in headers if n.lower() == "content-length"), str(len(body)))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.next_fault()
        if fault == "hang":
            time.sleep(_HANG_S)
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(_SLOW_S)
        if fault in ("500", "503"):
            self._answer(int(fault), [], b"", cut=False)
            return
        status, headers, answer = self._forward(body)
        if fault == "after":
            self._answer(500, [], b"", cut=False)
            return
        if self.command == "GET" and fault in ("short", "altered") and b"<?xml" not in answer:
            changed = answer[: len(answer) // 2] if fault == "short" else answer[:-1] + b"?"
            headers = [h for h in headers if h[0].lower() != "content-length"]
            self._answer(status, headers, changed, cut=False)
            return
        self._answer(status, headers, answer, cut=fault == "cut" and len(answer) > 1)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True


@contextmanager
def faulty_proxy(upstream: tuple[str, int]) -> Iterator[FaultyProxy]:
    """Run a proxy in front of a server."""
    proxy = FaultyProxy(upstream)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
