"""The API with no registry in reach: it answers with the bundled model, and says so."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.machine.spec import MachineSpec
from tests.serving.conftest import Serve, alone


@pytest.fixture(scope="module")
def client(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = alone(tmp_path_factory.mktemp("home"))
    with serve(settings) as client:
        yield client


@pytest.fixture
def body(spec: MachineSpec) -> dict[str, Any]:
    return {"request_id": 7, "features": dict(spec.example)}


def test_root_answers_a_message(client: httpx.Client) -> None:
    assert set(client.get("/").json()) == {"message"}


def test_a_failing_machine_is_told(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post("/predict", json=body).json()
    assert (answer["response_id"], answer["label"]) == (7, True)
    assert 0.5 < answer["probability"] <= 1


def test_a_healthy_machine_is_told(client: httpx.Client, body: dict[str, Any]) -> None:
    body["features"] |= {"rotational_speed_rpm": 1550, "torque_nm": 38, "tool_wear_min": 20}
    answer = client.post("/predict", json=body).json()
    assert (answer["label"], answer["probability"] < 0.1) == (False, True)


def test_an_answer_names_its_one_model_and_that_it_is_degraded(
    client: httpx.Client, body: dict[str, Any]
) -> None:
    answer = client.post("/predict", json=body).json()
    ready = client.get("/health/ready").json()
    assert answer["degraded"] is ready["degraded"] is True
    assert (answer["model"], answer["version"]) == (ready["model"], ready["version"])
    assert ready["source"] == "fallback"
    assert "PRESAGIO_MLFLOW_URL" in ready["reason"]
    assert client.get("/health/live").json() == {"status": "live"}


def test_the_described_clients_request_is_understood(client: httpx.Client) -> None:
    described = {
        "request_id": 1,
        "features": {
            "airtemperature_k": 298.1, "process_temperature_k": 308.6,
            "rotational_speed_rpm": 1551, "torque_nm": 42.8, "tool_wear_min": 0,
            "type_l": False, "type_m": True,
        },
    }  # fmt: skip
    answer = client.post("/predict", json=described).json()
    assert isinstance(answer["label"], bool)
    assert answer["response_id"] == 1


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        ({"torque_nm": -5}, "features.torque_nm", "a number, 0 to 150 Nm"),
        ({"torque_nm": 1e300}, "features.torque_nm", "a number, 0 to 150 Nm"),
        ({"torque_nm": "much"}, "features.torque_nm", "a number, 0 to 150 Nm"),
        ({"torque_nm": None}, "features.torque_nm", "a number, 0 to 150 Nm"),
        ({"torque_nm": True}, "features.torque_nm", "a number, 0 to 150 Nm"),
        ({"torque_nm": [1]}, "features.torque_nm", "a number, 0 to 150 Nm"),
        ({"type_l": "maybe"}, "features.type_l", "true or false"),
        ({"airtemperature_k": 25.0}, "features.airtemperature_k", "a number, 250 to 350 K"),
    ],
)
def test_a_refusal_names_field_value_and_what_is_allowed(
    client: httpx.Client, body: dict[str, Any], change: dict[str, Any], field: str, allowed: str
) -> None:
    body["features"] |= change
    answer = client.post("/predict", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (fault,) = answer.json()["errors"]
    assert (fault["field"], fault["allowed"]) == (field, allowed)
    (value,) = change.values()
    assert json.loads(fault["got"]) == value


def test_a_key_that_stands_there_twice_is_refused(
    client: httpx.Client, body: dict[str, Any]
) -> None:
    text = json.dumps(body)
    twice = text.replace('"torque_nm"', '"torque_nm": 1, "torque_nm"')
    answer = client.post("/predict", content=twice.encode())
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["reason"]) == (422, "repeated_key")
    assert fault["field"] == "torque_nm"
    # What nobody reads may stand there as often as it likes.
    unknown = text.replace('"torque_nm"', '"note": "a:b", "note": 2, "torque_nm"')
    assert client.post("/predict", content=unknown.encode()).status_code == 200


def test_versions_are_printable(client: httpx.Client, body: dict[str, Any]) -> None:
    outcome = {"features": body["features"], "failure": True, "said_version": "7\0"}
    answer = client.post("/feedback", json={"outcomes": [outcome]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "outcomes.0.said_version"


def test_what_is_missing_is_named(client: httpx.Client, body: dict[str, Any]) -> None:
    del body["features"]["torque_nm"], body["request_id"]
    faults = client.post("/predict", json=body).json()["errors"]
    assert [(fault["field"], fault["got"]) for fault in faults] == [
        ("request_id", "nothing"), ("features.torque_nm", "nothing"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe\x00", b"\x00", b"{}" * 1000,
        b'{"request_id": 1, "features": {"torque_nm": NaN}}',
        b'{"request_id": 1, "features": {"torque_nm": Infinity}}',
        b'{"request_id": 1, "features": {"torque_nm": -Infinity}}',
        b'{"request_id": 1, "features": {"torque_nm": 1e999}}',
        b'{"request_id": 1' + b"0" * 5000 + b', "features": {}}',
        b'{"request_id": "\\ud800", "features": {"torque_nm": "\\udfff"}}',
        b'{"request_id": "\xed\xa0\x80"}',
        b"[" * 100_000,
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_comes_is_refused_and_never_an_error(client: httpx.Client, raw: bytes) -> None:
    answer = client.post("/predict", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_no_number_is_too_odd_for_a_clear_answer(
    client: httpx.Client, body: dict[str, Any], number: str
) -> None:
    raw = json.dumps(body).replace("63.0", number)
    answer = client.post("/predict", content=raw.encode())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "features.torque_nm"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=_JSON, name=st.sampled_from(["request_id", "features", "torque_nm", "type_l"]))
def test_any_json_value_anywhere_is_answered_or_refused(
    client: httpx.Client, spec: MachineSpec, value: object, name: str
) -> None:
    body: dict[str, Any] = {"request_id": 7, "features": dict(spec.example)}
    (body if name in body else body["features"])[name] = value
    raw = json.dumps(body).encode()
    assert client.post("/predict", content=raw).status_code in (200, 422)


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_refused(client: httpx.Client, raw: bytes) -> None:
    assert client.post("/predict", content=raw).status_code == 422


def test_the_documentation_shows_units_and_a_working_example(
    client: httpx.Client,
) -> None:
    document = client.get("/openapi.json").json()
    features = document["components"]["schemas"]["Features"]["properties"]
    assert features["torque_nm"]["unit"] == "Nm"
    assert features["torque_nm"]["maximum"] == 150
    assert "[K]" in features["airtemperature_k"]["title"]
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.post("/predict", json=content["example"]).status_code == 200
    assert content["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]


def _references(part: object) -> list[str]:
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    own = [str(part["$ref"])] if isinstance(part, dict) and "$ref" in part else []
    return own + [found for value in inner for found in _references(value)]


def test_every_reference_in_the_documentation_leads_somewhere(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    references = _references(document)
    assert len(references) >= 4
    for reference in references:
        part = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_the_documentation_needs_no_other_server(client: httpx.Client) -> None:
    page = client.get("/docs").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    for source in sources:
        assert source.startswith("/")
        assert client.get(source).status_code == 200
