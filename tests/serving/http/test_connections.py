"""Requests as no honest client sends them: in halves, many at once, malformed, never read."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from presagio.machine.spec import MachineSpec
from presagio.serving.auth.tokens import SCOPES, Authority
from presagio.serving.http.connections import OPEN_ROUTES
from presagio.settings import Settings
from tests.pumps import PUMPS
from tests.serving.conftest import Serve, alone, with_secrets

pytestmark = pytest.mark.unit

Address = tuple[str, int]
_LIVE = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
_LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return with_secrets(
        alone(
            tmp_path_factory.mktemp("home"), record_predictions=False,
            mlflow_webhook_secret=SecretStr("hook"), fleets=(str(PUMPS),),
            api_header_seconds=0.6, api_body_seconds=0.6, api_open_body_seconds=0.3,
            api_write_seconds=0.4, api_max_concurrency=8, batch_max_seconds=30.0,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def client(serve: Serve, settings: Settings) -> Iterator[httpx.Client]:
    with serve(settings) as client:
        yield client


@pytest.fixture(scope="module")
def address(client: httpx.Client) -> Address:
    return _place(client)


@pytest.fixture(scope="module")
def bearer(settings: Settings) -> bytes:
    token, _ = Authority(settings).issue("tests", list(SCOPES))
    return f"authorization: Bearer {token}\r\n".encode()


def _place(client: httpx.Client) -> Address:
    url = httpx.URL(str(client.base_url))
    return url.host, url.port or 0


def _received(connection: socket.socket) -> bytes:
    got = bytearray()
    try:
        while part := connection.recv(1 << 20):
            got += part
    except ConnectionResetError:
        pass
    return bytes(got)


def _answer_to(address: Address, *pieces: bytes, pause: float = 0.0) -> bytes:
    with socket.create_connection(address, timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        return _received(connection)


def _statuses(got: bytes) -> list[int]:
    return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]


def test_a_connection_that_says_nothing_is_closed(address: Address) -> None:
    assert _statuses(_answer_to(address)) == [408]


def test_headers_that_never_end_are_not_waited_for(address: Address) -> None:
    # Each piece in time, all of them together not.
    pieces = [b"POST /predict HTTP/1.1\r\n", *[b"x: y\r\n"] * 8]
    with socket.create_connection(address, timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        assert _statuses(_received(connection)) == [408]


def test_bodies_that_anybody_may_send_have_less_time_than_others(
    address: Address, bearer: bytes
) -> None:
    for path, header, is_early in (
        ("/token", b"", True), ("/model/webhook", b"", True), ("/predict", bearer, False),
        ("/fleets/pumps/token", b"", True), ("/fleets/pumps/predict", bearer, False),
    ):  # fmt: skip
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n".encode() + header
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(head + b"\r\n{")
            connection.settimeout(0.45)
            try:
                early = _received(connection)
            except TimeoutError:
                early = b""
            assert bool(early) == is_early, path
            connection.settimeout(10)
            assert _statuses(early + _received(connection)) == [408]


@pytest.mark.parametrize("route", ["", "/fleets/pumps", "/fleets/ai4i2020"])
def test_a_file_has_more_time_than_a_json_body(address: Address, bearer: bytes, route: str) -> None:
    kind = b"content-type: text/csv\r\ncontent-length: 2\r\n" + bearer
    head = f"POST {route}/predict/batch HTTP/1.1\r\nhost: x\r\n".encode() + kind + b"\r\n"
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head + b"x")
        time.sleep(0.8)
        connection.sendall(b"\n")
        assert _statuses(connection.recv(4096)) != [408]


def test_bodies_that_anybody_may_send_are_small(client: httpx.Client, settings: Settings) -> None:
    body = b"x" * (settings.api_open_body_bytes + 1)
    for path in OPEN_ROUTES:
        assert client.post(path, content=body).status_code == 413
        assert client.post(path, content=iter([body])).status_code == 413


def test_every_route_with_a_body_and_without_a_token_is_known_as_such(
    client: httpx.Client,
) -> None:
    document = client.get("/openapi.json").json()
    posted = {path: about["post"] for path, about in document["paths"].items() if "post" in about}
    assert {path for path, about in posted.items() if "security" not in about} == OPEN_ROUTES


def test_without_a_token_no_body_is_waited_for(address: Address, client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    paths = {path for path, about in document["paths"].items() if "post" in about} - OPEN_ROUTES
    for path in {*paths, "/fleets/pumps/predict", "/fleets/nowhere/predict"}:
        shown = path.replace("{name}", "svm_prod").replace("{version}", "1")
        head = f"POST {shown} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n".encode()
        with socket.create_connection(address, timeout=0.5) as connection:
            connection.sendall(head + b"{")
            assert _statuses(connection.recv(4096)) == [401], path


def test_the_rest_of_a_refused_body_is_not_waited_for(address: Address) -> None:
    # Also where a good token would have minutes for its file.
    head = b"POST /predict/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
    began = time.monotonic()
    assert _statuses(_answer_to(address, head, b"{")) == [401]
    assert time.monotonic() - began < 10


def test_half_sent_bodies_keep_nobody_out(
    address: Address, client: httpx.Client, settings: Settings, spec: MachineSpec, bearer: bytes
) -> None:
    heads = [
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n".encode() + header + b"\r\n{"
        for path, header in (("/token", b""), ("/model/webhook", b""), ("/predict", bearer))
    ]
    body = {"request_id": 1, "features": dict(spec.example)}
    with ExitStack() as stack:
        for i in range(4 * settings.api_max_concurrency):
            half = stack.enter_context(socket.create_connection(address, timeout=10))
            half.sendall(heads[i % len(heads)])
        assert client.post("/predict", json=body).status_code == 200


def test_answers_that_are_not_read_keep_nobody_out_and_end(
    serve: Serve, settings: Settings
) -> None:
    few = settings.model_copy(update={"api_max_concurrency": 2})
    long = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
    with serve(few) as client, ExitStack() as stack:
        deaf = []
        for _ in range(3):
            connection = stack.enter_context(socket.create_connection(_place(client), timeout=10))
            # More than what the system's buffers hold.
            connection.sendall(long * 500)
            deaf.append(connection)
        # Until nothing more of it can be sent, and then some.
        time.sleep(2 + 2 * settings.api_write_seconds)
        assert client.get("/model").status_code == 200
        for connection in deaf:
            assert 0 < len(_statuses(_received(connection))) < 500


def test_a_slow_reader_of_a_long_answer_is_not_disconnected(
    address: Address, bearer: bytes, settings: Settings
) -> None:
    rows = 40_000
    line = b"L,300,310,1500,40,10\n"
    body = (
        b"Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
        b"Tool wear [min]\n" + line * rows
    )
    head = (
        b"POST /predict/batch HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: text/csv\r\ncontent-length: %d\r\n" % len(body)
    )
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        connection.sendall(head + bearer + b"\r\n" + body)
        got, until = bytearray(), time.monotonic() + 3 * settings.api_write_seconds
        while part := connection.recv(64 << 10):
            got += part
            time.sleep(0.05 if time.monotonic() < until else 0.0)
    assert got.endswith(b"0\r\n\r\n")
    assert got.count(b"\n") > rows


def test_a_connection_beyond_the_limit_replaces_the_one_that_waits_longest(
    serve: Serve, settings: Settings, bearer: bytes
) -> None:
    few = settings.model_copy(update={"api_max_connections": 8, "api_header_seconds": 20.0})
    with serve(few) as client, ExitStack() as stack:
        place = _place(client)
        client.get("/health/live")
        # A file with a token that is on its way is not the one.
        upload = stack.enter_context(socket.create_connection(place, timeout=5))
        upload.sendall(
            b"POST /predict/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 2\r\nconnection: close\r\n" + bearer + b"\r\n["
        )
        time.sleep(0.1)
        silent = [
            stack.enter_context(socket.create_connection(place, timeout=5)) for _ in range(20)
        ]
        for _ in range(3):
            assert _statuses(
                _answer_to(place, _LIVE.replace(b"host", b"connection: close\r\nhost"))
            )
        assert _statuses(_received(silent[0])) == [503]
        upload.sendall(b"]")
        assert _statuses(_received(upload))[0] in {200, 422}


def test_pipelined_requests_are_answered_each(address: Address, bearer: bytes) -> None:
    post = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n" + bearer + b"\r\n{}"
    for many in (3, 300, 3000):
        got = _answer_to(address, _LIVE * many + post + _LIVE + _LAST)
        assert _statuses(got) == [200] * many + [422, 200, 200]
    # Cut at every place that there may be trouble.
    whole = _LIVE + post + _LIVE + _LAST
    for size in (1, 7, 64):
        pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
        with socket.create_connection(address, timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            assert _statuses(_received(connection)) == [200, 422, 200, 200]


def test_many_headers_over_many_requests_are_not_too_many(address: Address) -> None:
    big = b"GET /health/live HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 30_000 + b"\r\n\r\n"
    assert _statuses(_answer_to(address, big * 5 + _LAST)) == [200] * 6


def test_endless_headers_are_refused(address: Address) -> None:
    piece = b"x: " + b"y" * 40_000 + b"\r\n"
    start = b"GET / HTTP/1.1\r\n"
    assert _statuses(_answer_to(address, start, piece, piece)) == [431]
    assert _statuses(_answer_to(address, start + b"x: " + b"y" * 100_000)) == [431]
    assert _statuses(_answer_to(address, start + b"x: y\r\n" * 101 + b"\r\n")) == [431]
    assert _statuses(_answer_to(address, b"GET /" + b"y" * 100_000)) == [431]
    # What was asked before is answered before.
    assert _statuses(_answer_to(address, _LIVE + start + piece + piece)) == [200, 431]


def test_a_slow_but_honest_request_is_answered(address: Address) -> None:
    got = _answer_to(
        address, b"GET /health/live HT", b"TP/1.1\r\nhost: x\r\n", b"connection: close\r\n\r\n",
        pause=0.05,
    )  # fmt: skip
    assert _statuses(got) == [200]


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_wish_for_another_protocol_is_ignored(
    address: Address, spec: MachineSpec, bearer: bytes, protocol: bytes, pieces: int
) -> None:  # fmt: skip
    body = httpx.Request(
        "POST", "http://x", json={"request_id": 7, "features": dict(spec.example)}
    ).content
    head = (
        b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\n"
        b"upgrade: " + protocol + b"\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
        b"content-length: %d\r\n" % len(body) + bearer + b"\r\n"
    )
    last = _LAST.replace(b"close", b"close, upgrade\r\nupgrade: h2c")
    parts = [head + body + _LIVE + last] if pieces == 1 else [head, body + _LIVE + last]
    got = _answer_to(address, *parts, pause=0.05)
    assert _statuses(got) == [200, 200, 200]
    assert b'"response_id":7' in got
    chunked = head.replace(b"content-length: %d" % len(body), b"transfer-encoding: chunked")
    got = _answer_to(address, chunked + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" + _LAST)
    assert _statuses(got) == [200, 200]


_SMUGGLED = b"GET /model HTTP/1.1\r\nhost: x\r\n\r\n"
_MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "length twice": b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "length and chunks": b"POST / HTTP/1.1\r\ncontent-length: 40\r\ntransfer-encoding: chunked"
    b"\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    "chunks and length": b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4"
    b"\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    "coded otherwise": b"POST / HTTP/1.1\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"
    + _SMUGGLED,
    "coded twice": b"POST / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"POST / HTTP/1.1\r\ncontent-length : 5\r\n\r\nhello",
    "a length with a sign": b"POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\nhello",
    "a length of 2^64": b"POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\nhello",
    "a negative length": b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\nhello",
    "a folded header": b"GET / HTTP/1.1\r\na: b\r\n content-length: 5\r\n\r\nhello",
    "bare line ends": b"GET / HTTP/1.1\nhost: x\n\n",
    "a chunk of 2^68": b"POST /token HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a chunk that is longer": b"POST /token HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    b"2\r\nhello\r\n0\r\n\r\n",
    "a chunk of no number": b"POST /token HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\na: \x00\r\n\r\n",
    "no text in the path": b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", _MALFORMED)
def test_what_is_malformed_is_refused_once_and_nothing_after_it_is_answered(
    address: Address, name: str
) -> None:
    assert _statuses(_answer_to(address, _MALFORMED[name])) == [400]
    # After the answers that are due, and never among them.
    assert _statuses(_answer_to(address, _LIVE * 3 + _MALFORMED[name])) == [200, 200, 200, 400]


def test_a_tunnel_is_refused(address: Address) -> None:
    got = _answer_to(address, b"CONNECT example.org:80 HTTP/1.1\r\nhost: x\r\n\r\n" + _LIVE)
    assert _statuses(got) == [405]


def test_chunks_of_odd_sizes_make_the_body(
    address: Address, spec: MachineSpec, bearer: bytes
) -> None:
    body = httpx.Request(
        "POST", "http://x", json={"request_id": 8, "features": dict(spec.example)}
    ).content
    sizes = [1, 2, 3, 1, 50]
    chunks, i = b"", 0
    while i < len(body):
        part = body[i : i + sizes[i % len(sizes)]]
        chunks += b"%x;ext=%s\r\n%s\r\n" % (len(part), b"e" * 100, part)
        i += len(part)
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n" + bearer + b"\r\n"
    # A trailer is no header of the request.
    trailer = b"0\r\ncontent-encoding: gzip\r\n\r\n"
    got = _answer_to(address, head + chunks + trailer + _LAST)
    assert _statuses(got) == [200, 200]
    assert b'"response_id":8' in got


def test_forwarded_addresses_are_believed_from_trusted_proxies_only(
    serve: Serve, settings: Settings, tmp_path: Path
) -> None:
    del tmp_path
    form = {"grant_type": "password", "username": "admin", "password": "guess"}
    strict = settings.model_copy(update={"token_attempts": 2})
    behind = Settings.model_validate(strict.model_dump() | {"trusted_proxies": ["127.0.0.0/8"]})
    for settings_of_server, statuses in ((strict, [400, 400, 429]), (behind, [400, 400, 400])):
        with serve(settings_of_server) as client:
            got = [
                client.post("/token", data=form, headers={"X-Forwarded-For": f"10.0.0.{i}"})
                for i in range(3)
            ]
            assert [answer.status_code for answer in got] == statuses
