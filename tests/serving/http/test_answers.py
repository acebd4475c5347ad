"""What one answer says besides yes and no, and what every answer carries."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from presagio.machine.spec import MachineSpec
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def client(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = alone(
        tmp_path_factory.mktemp("home"),
        record_predictions=False,
        api_max_rows=50,
        api_max_body_bytes=20_000,
    )
    with serve(settings) as client:
        yield client


@pytest.fixture
def body(spec: MachineSpec) -> dict[str, Any]:
    return {"request_id": 7, "features": dict(spec.example)}


@pytest.fixture
def healthy(body: dict[str, Any]) -> dict[str, Any]:
    body["features"] |= {"rotational_speed_rpm": 1550, "torque_nm": 38, "tool_wear_min": 20}
    return body


def test_an_alarm_is_explained_unasked(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post("/predict", json=body).json()
    why = answer["diagnosis"]
    assert (why["mode"], why["title"]) == ("osf", "Overstrain failure")
    strain = next(limit for limit in why["limits"] if limit["limit"] == "osf_strain_above")
    assert (strain["distance"], strain["unit"], strain["minutes_left"]) == (-2230.0, "minNm", 0.0)
    assert why["base_probability"] + sum(why["contributions"].values()) == pytest.approx(
        answer["probability"]
    )
    assert answer["score"] >= answer["threshold"]


def test_others_are_explained_when_asked(client: httpx.Client, healthy: dict[str, Any]) -> None:
    assert client.post("/predict", json=healthy).json()["diagnosis"] is None
    asked = client.post("/predict?explain=true", json=healthy).json()["diagnosis"]
    assert asked["clearing_change"] is None
    minutes = {limit["limit"]: limit["minutes_left"] for limit in asked["limits"]}
    assert minutes["twf_tool_wear_min_above"] == pytest.approx(180.0)
    assert minutes["hdf_rotational_speed_rpm_below"] is None


def test_what_clears_the_alarm_does(client: httpx.Client, healthy: dict[str, Any]) -> None:
    healthy["features"] |= {"torque_nm": 70.0}
    change = client.post("/predict", json=healthy).json()["diagnosis"]["clearing_change"]
    healthy["features"][change["feature"]] = change["to"]
    assert client.post("/predict", json=healthy).json()["label"] is False


@pytest.mark.parametrize(
    "query", ["explain=maybe", "explain=1", "explain=", "explain=%ff", "a=1&" * 30]
)
def test_an_odd_query_is_refused(client: httpx.Client, body: dict[str, Any], query: str) -> None:
    answer = client.post(f"/predict?{query}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "explain"


def test_every_answer_has_an_id_and_safe_headers(
    client: httpx.Client, body: dict[str, Any]
) -> None:
    for answer in (
        client.post("/predict", json=body),
        client.post("/predict", content=b"no"),
        client.get("/nothing"),
        client.get("/docs"),
    ):
        assert answer.headers["x-request-id"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_an_id_that_is_sent_comes_back_unless_it_is_odd(client: httpx.Client) -> None:
    assert client.get("/", headers={"X-Request-ID": "ab-1"}).headers["x-request-id"] == "ab-1"
    for odd in ("a b", "x" * 200, 'a"b'):
        assert client.get("/", headers={"X-Request-ID": odd}).headers["x-request-id"] != odd


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("DELETE", "/predict", 405, "method-not-allowed"),
        ("GET", "/models?limit=0", 422, "invalid-request"),
        ("GET", "/models", 503, "registry-unavailable"),
        ("GET", "/v2/models/other", 404, "no-such-model"),
    ],
)
def test_every_refusal_is_a_problem_document(
    client: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status, "application/problem+json",
    )  # fmt: skip
    said = answer.json()
    assert (said["status"], said["type"]) == (status, f"urn:presagio:problem:{kind}")


def test_a_refused_reading_names_bound_and_unit(client: httpx.Client, body: dict[str, Any]) -> None:
    body["features"]["torque_nm"] = 900
    (fault,) = client.post("/predict", json=body).json()["errors"]
    assert (fault["minimum"], fault["maximum"], fault["unit"]) == (0.0, 150.0, "Nm")


def test_large_and_compressed_bodies_are_refused(
    client: httpx.Client, body: dict[str, Any]
) -> None:
    large = client.post("/predict", content=b" " * 20_001)
    assert large.status_code == 413
    in_parts = client.post("/predict", content=iter([b" " * 9000] * 3))
    assert in_parts.status_code == 413
    packed = client.post("/predict", json=body, headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415


def test_a_body_in_pieces_is_understood(client: httpx.Client, body: dict[str, Any]) -> None:
    raw = httpx.Request("POST", "http://x", json=body).content
    answer = client.post("/predict", content=iter([raw[:9], raw[9:50], raw[50:]]))
    assert answer.json()["label"] is True


def test_deep_nesting_and_doubled_keys_are_no_error(
    client: httpx.Client, body: dict[str, Any]
) -> None:
    assert client.post("/predict", content=b'{"a":' * 3000).status_code == 422
    assert client.post("/predict/batch", content=b"[" * 15_000, headers={
        "Content-Type": "application/json"}).status_code == 422  # fmt: skip
    doubled = b'{"request_id": 1, ' + httpx.Request("POST", "http://x", json=body).content[1:]
    assert client.post("/predict", content=doubled).json()["response_id"] == 7


def test_the_figures_count_what_was_asked(client: httpx.Client, healthy: dict[str, Any]) -> None:
    def figure(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    client.post("/predict", json=healthy)
    before = figure("presagio_rows_total")
    asked = 'presagio_requests_total{route="/predict",status="200"}'
    requests = figure(asked)
    client.post("/predict", json=healthy)
    client.post("/predict", content=b"")
    assert figure("presagio_rows_total") == before + 1
    assert figure(asked) == requests + 1
    assert figure('presagio_refusals_total{kind="invalid-request"}') >= 1
    assert figure("presagio_degraded") == 1
    assert figure('presagio_model_served{fleet="ai4i2020",model="fallback"') == 1


def test_one_request_too_many_is_told_to_come_back(
    serve: Serve, tmp_path: Any, body: dict[str, Any]
) -> None:
    settings = alone(tmp_path, record_predictions=False, api_max_concurrency=1)
    line = json.dumps(body["features"]) + "\n"
    headers = {"Content-Type": "application/x-ndjson"}
    with serve(settings) as client:
        # More than sockets hold: the answer goes on for as long as it is not read.
        rows = 200_000
        with (
            client.stream("POST", "/predict/batch", content=line * rows, headers=headers) as slow,
            httpx.Client(base_url=client.base_url, headers=client.headers) as other,
        ):
            assert slow.status_code == 200
            refused = other.post("/predict", json=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert other.get("/health/live").status_code == 200
            assert sum(1 for _ in slow.iter_lines()) == rows
            # Its end is seen here a moment before its place is free.
            until = time.monotonic() + 10
            while other.post("/predict", json=body).status_code != 200:
                assert time.monotonic() < until


def test_pages_of_others_may_not_ask_unless_they_are_named(
    client: httpx.Client, serve: Serve, tmp_path: Any
) -> None:
    asked = {"Origin": "https://plant.example", "Access-Control-Request-Method": "POST"}
    closed = client.options("/predict", headers=asked)
    assert "access-control-allow-origin" not in closed.headers
    settings = alone(tmp_path, record_predictions=False, cors_origins=("https://plant.example",))
    with serve(settings) as named:
        allowed = named.options("/predict", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://plant.example"
        other = named.options("/predict", headers=asked | {"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers
