"""Requests that never come whole."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from presagio.serving import connections
from presagio.settings import Settings
from tests.conftest import free_ports
from tests.serving.conftest import Serve

pytestmark = pytest.mark.unit


@pytest.fixture
def address(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, int]]:
    settings = Settings(
        home=tmp_path, mlflow_url=free_ports().url("mlflow"), mlflow_timeout_s=1,
        record_predictions=False, api_header_seconds=0.3, api_body_seconds=0.3,
    )  # fmt: skip
    monkeypatch.setattr(connections, "_settings", lambda: settings)
    with serve(settings) as client:
        assert client.get("/").status_code == 200
        url = httpx.URL(str(client.base_url))
        yield url.host, url.port or 0


def _answer_to(address: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> bytes:
    with socket.create_connection(address, timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        got = b""
        while part := connection.recv(65536):
            got += part
        return got


def test_a_connection_that_says_nothing_is_closed(address: tuple[str, int]) -> None:
    began = time.monotonic()
    assert b" 408 " in _answer_to(address)
    assert time.monotonic() - began < 3


def test_headers_that_never_end_are_not_waited_for(address: tuple[str, int]) -> None:
    # Each piece in time, all of them together not.
    pieces = [b"POST /predict HTTP/1.1\r\n", *[b"x: y\r\n"] * 3]
    assert b" 408 " in _answer_to(address, *pieces, pause=0.05)


def test_a_body_that_never_ends_is_not_waited_for(address: tuple[str, int]) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
    # Without a token it is refused before its body is waited for.
    assert b" 401 " in _answer_to(address, head, b"{").split(b"\r\n")[0] + b" "
    slow = b"POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
    assert b" 408 " in _answer_to(address, slow, b"{")


def test_endless_headers_are_refused(address: tuple[str, int]) -> None:
    piece = b"x: " + b"y" * 40_000 + b"\r\n"
    got = _answer_to(address, b"GET / HTTP/1.1\r\n", piece, piece)
    assert b" 431 " in got


def test_a_slow_but_honest_request_is_answered(address: tuple[str, int]) -> None:
    got = _answer_to(
        address, b"GET /health/live HT", b"TP/1.1\r\nhost: x\r\n", b"connection: close\r\n\r\n",
        pause=0.05,
    )  # fmt: skip
    assert b" 200 " in got
