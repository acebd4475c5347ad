"""A whole, plain request is answered in one step, exactly as it would be in many."""

import asyncio
import json
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from presagio.inference.artifact import sha256_of
from presagio.inference.predictor import load_predictor
from presagio.machine.spec import MachineSpec, load_spec
from presagio.registry.cache import folder_of
from presagio.registry.versions import RegisteredVersion
from presagio.serving.app import create_app
from presagio.serving.auth.tokens import SCOPES, Authority
from presagio.serving.champion import last_good
from presagio.serving.http.edge import Edge
from presagio.serving.http.prediction_answers import PredictResponse
from presagio.settings import Settings
from tests.conftest import free_ports
from tests.inference.broken import fails_where, make_artifact
from tests.serving.conftest import SECRETS, Serve, alone

_HEALTHY = {"rotational_speed_rpm": 1550.0, "torque_nm": 38.0, "tool_wear_min": 20.0}


@dataclass(frozen=True)
class Answer:
    """What came back: the headers without the request's own id and the date."""

    status: int
    headers: dict[str, str]
    body: Any

    @classmethod
    def of(cls, head: bytes, body: bytes) -> Self:
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        headers.pop("date")
        headers.pop("x-request-id")
        return cls(int(first.split()[1]), headers, json.loads(body))


@dataclass(frozen=True)
class Api:
    """A running API, asked byte by byte."""

    client: httpx.Client

    def request(self, body: bytes, *lines: str, path: str = "/predict") -> bytes:
        token = self.client.headers["authorization"]
        if not any(line.lower().startswith("authorization") for line in lines):
            lines = (*lines, f"authorization: {token}")
        head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
        return "\r\n".join([*head, "", ""]).encode() + body

    def connect(self) -> socket.socket:
        url = self.client.base_url
        return socket.create_connection((url.host, url.port or 0), timeout=30)

    def ask(self, request: bytes, *, whole: bool) -> Answer:
        with self.connect() as connection:
            if whole:
                connection.sendall(request)
            else:
                head, body = request.split(b"\r\n\r\n", 1)
                connection.sendall(head + b"\r\n\r\n")
                # Until the body comes, there is nothing that could be answered at once.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.client.get("/health/live")
                connection.sendall(body)
            return next(answers(connection))

    def counted(self) -> tuple[float, float]:
        text = self.client.get("/metrics").text
        names = (
            r'presagio_rows_total\{fleet="ai4i2020"\}',
            r'presagio_requests_total\{route="/predict",status="200"\}',
        )
        found = [re.search(rf"(?m)^{name} (\S+)$", text) for name in names]
        rows, requests = (float(number[1]) if number else 0.0 for number in found)
        return rows, requests


def answers(connection: socket.socket) -> Iterator[Answer]:
    got = b""
    while True:
        while b"\r\n\r\n" not in got:
            part = connection.recv(65536)
            if not part:
                return
            got += part
        head, got = got.split(b"\r\n\r\n", 1)
        size = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        while len(got) < size:
            got += connection.recv(65536)
        yield Answer.of(head, got[:size])
        got = got[size:]


def _body(spec: MachineSpec, **changes: Any) -> bytes:
    features = dict(spec.example) | changes
    return json.dumps({"request_id": 5, "features": features}).encode()


def _settings(home: Path) -> Settings:
    return alone(home, api_max_body_bytes=20_000)


@pytest.fixture(scope="module")
def api(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serve(_settings(tmp_path_factory.mktemp("home"))) as client:
        api = Api(client)
        # A token that was never verified is not remembered.
        client.post("/predict", content=_body(load_spec()))
        yield api


@given(
    st.fixed_dictionaries(
        {feature.name: st.floats(*feature.bounds) for feature in load_spec().features}
    )
)
def test_an_answer_in_one_step_is_the_answer_in_many(api: Api, reading: dict[str, float]) -> None:
    request = api.request(_body(load_spec(), **reading))
    assert api.ask(request, whole=True) == api.ask(request, whole=False)


@pytest.mark.parametrize(
    ("body", "lines", "status"),
    [
        (b"{}", (), 422),
        (b"\xff", (), 422),
        (None, ("authorization: Bearer nonsense",), 401),
        (None, ("authorization: Basic eDp5",), 401),
        (None, ("content-encoding: gzip",), 415),
        (None, ("content-encoding: identity",), 200),
        (b" " * 20_001, (), 413),
        (None, ("expect: 100-continue",), 200),
    ],
)
def test_what_is_refused_is_refused_alike(
    api: Api, spec: MachineSpec, body: bytes | None, lines: tuple[str, ...], status: int
) -> None:
    request = api.request(_body(spec, **_HEALTHY) if body is None else body, *lines)
    answer = api.ask(request, whole=True)
    assert answer.status == status
    if "expect: 100-continue" not in lines:
        assert answer == api.ask(request, whole=False)


@pytest.mark.parametrize("changes", [_HEALTHY, {}])
def test_each_request_is_counted_once(
    api: Api, spec: MachineSpec, changes: dict[str, float]
) -> None:
    request, before = api.request(_body(spec, **changes)), api.counted()
    assert api.ask(request, whole=True).body["label"] is not bool(changes)
    assert api.counted() == (before[0] + 1, before[1] + 1)


def test_many_requests_in_one_piece_are_answered_in_order(api: Api, spec: MachineSpec) -> None:
    kinds = [(_body(spec, **_HEALTHY), 200), (_body(spec), 200), (b"{}", 422)]
    chosen = [kinds[i] for i in (0, 0, 1, 0, 2, 0, 0, 1, 1, 0) for _ in range(3)]
    with api.connect() as connection:
        connection.sendall(b"".join(api.request(body) for body, _ in chosen))
        found = answers(connection)
        for body, status in chosen:
            answer = next(found)
            assert answer.status == status
            if status == 200:
                assert answer.body["label"] is (body == kinds[1][0])


@pytest.mark.parametrize("line", ["connection: close", "connection: keep-alive"])
def test_a_connection_ends_when_the_client_says_so(api: Api, spec: MachineSpec, line: str) -> None:
    with api.connect() as connection:
        connection.sendall(api.request(_body(spec, **_HEALTHY), line))
        found = answers(connection)
        assert next(found).headers.get("connection") == ("close" if "close" in line else None)
        if "close" in line:
            assert next(found, None) is None
        else:
            connection.sendall(api.request(_body(spec, **_HEALTHY), "connection: close"))
            assert next(found).status == 200


def test_what_is_answered_in_one_step_is_kept_and_what_is_not_leaves_no_trace(
    tmp_path: Path, spec: MachineSpec
) -> None:
    settings = _settings(tmp_path).model_copy(
        update=SECRETS
        | {"s3_endpoint": free_ports().url("s3"), "s3_access_key": SecretStr("a"),
           "s3_secret_key": SecretStr("b"), "auth": "off", "record_queue_rows": 1}
    )  # fmt: skip
    edge = create_app(settings)
    assert isinstance(edge, Edge)
    scope = {"method": "POST", "path": "/predict", "query_string": b"", "headers": []}

    def dropped() -> float:
        async def ask() -> str:
            transport = httpx.ASGITransport(edge)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return (await client.get("/metrics")).text

        found = re.search(
            r"^presagio_dropped_predictions_total\{.*\} (.*)$", asyncio.run(ask()), re.MULTILINE
        )
        assert found is not None
        return float(found[1])

    # One may wait to be kept; whatever is kept besides is dropped, and counted.
    assert edge.at_once(scope, _body(spec, **_HEALTHY)) is not None
    assert dropped() == 0
    # An alarm, an explanation, a refusal, another route: all of them go the usual way.
    for changed, body in (
        ({}, _body(spec)),
        ({"query_string": b"explain=true"}, _body(spec, **_HEALTHY)),
        ({}, b"{}"),
        ({"path": "/predict/batch"}, _body(spec, **_HEALTHY)),
        ({"method": "GET"}, _body(spec, **_HEALTHY)),
    ):
        assert edge.at_once(scope | changed, body) is None
    assert dropped() == 0
    assert edge.at_once(scope, _body(spec, **_HEALTHY)) is not None
    assert dropped() == 1
    edge.in_flight = settings.api_max_concurrency
    assert edge.at_once(scope, _body(spec, **_HEALTHY)) is None


def test_a_token_without_the_scope_is_refused(api: Api, spec: MachineSpec, tmp_path: Path) -> None:
    settings = _settings(tmp_path).model_copy(update=SECRETS)
    token, _ = Authority(settings).issue("tests", [scope for scope in SCOPES if scope != "predict"])
    request = api.request(_body(spec, **_HEALTHY), f"authorization: Bearer {token}")
    for _ in range(2):
        # Once it is verified, and then remembered.
        assert api.ask(request, whole=True).status == 403


def test_an_answer_has_the_members_of_its_model_and_no_other(api: Api, spec: MachineSpec) -> None:
    for changes in (_HEALTHY, {}):
        answer = api.ask(api.request(_body(spec, **changes)), whole=True)
        assert list(answer.body) == list(PredictResponse.model_fields)
        PredictResponse.model_validate(answer.body, strict=True)


def test_a_fault_in_one_step_is_left_to_the_usual_way(tmp_path: Path, spec: MachineSpec) -> None:
    settings = _settings(tmp_path).model_copy(
        # On a machine under load trying the model takes its time.
        update=SECRETS | {"auth": "off", "record_predictions": False, "model_trial_s": 120.0}
    )
    # Served as what was served last, since there is no registry.
    made = make_artifact(tmp_path / "made", fails_where(3, 50.5))
    version = RegisteredVersion(
        settings.model_name, "7", "a" * 32, sha256_of(made / "manifest.json")
    )
    folder = folder_of(settings.model_cache, version)
    shutil.copytree(made, folder)
    last_good.keep(settings.model_cache, version, load_predictor(folder))
    edge = create_app(settings)
    assert isinstance(edge, Edge)
    scope = {"method": "POST", "path": "/predict", "query_string": b"", "headers": []}
    found = edge.at_once(scope, _body(spec, **_HEALTHY))
    assert found is not None
    assert json.loads(found[1])["version"] == "7"
    assert edge.at_once(scope, _body(spec, **_HEALTHY | {"torque_nm": 50.5})) is None
