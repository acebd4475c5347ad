"""The same reading gets the same verdict, whichever door it comes through."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import polars as pl
import pytest

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import Limits, check_file
from presagio.machine.spec import MachineSpec, load_spec
from presagio.settings import Settings
from tests.conftest import free_ports
from tests.serving.conftest import Serve

pytestmark = pytest.mark.unit

_FILES = {
    "csv": "text/csv",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
_DOORS = ("predict", "v2", "feedback", *_FILES, "intake csv", "intake parquet")
_CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "the example": ({}, True),
    "no indicator": ({"type_l": False, "type_m": False}, True),
    "both indicators": ({"type_l": True, "type_m": True}, False),
    "both indicators as numbers": ({"type_l": 1, "type_m": 1}, False),
    "indicators as numbers": ({"type_l": 0, "type_m": 1}, True),
    "an indicator of two": ({"type_l": 2}, False),
    "no value": ({"torque_nm": None}, False),
    "text": ({"torque_nm": "fast"}, False),
    "below its range": ({"torque_nm": -0.5}, False),
    "at the end of its range": ({"torque_nm": 150.0}, True),
    "beyond its range": ({"torque_nm": 150.5}, False),
    "a whole number": ({"torque_nm": 40}, True),
}


@pytest.fixture(scope="module")
def client(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    ports = free_ports()
    settings = Settings(
        home=tmp_path_factory.mktemp("home"), mlflow_url=ports.url("mlflow"), mlflow_timeout_s=1,
        s3_endpoint=ports.url("s3"), s3_timeout_s=1, record_predictions=False,
    )  # fmt: skip
    with serve(settings) as client:
        yield client


def _file(reading: Mapping[str, Any], kind: str) -> bytes:
    frame, out = pl.DataFrame([reading]), io.BytesIO()
    if kind == "csv":
        frame.write_csv(out)
    elif kind == "parquet":
        frame.write_parquet(out)
    elif kind == "arrow":
        frame.write_ipc_stream(out)
    else:
        text = json.dumps(reading if kind == "ndjson" else [reading])
        out.write(text.encode())
    return out.getvalue()


def _by_file(client: httpx.Client, reading: Mapping[str, Any], kind: str) -> bool:
    headers = {"Content-Type": _FILES[kind], "Accept": "application/json"}
    answer = client.post("/predict/batch", content=_file(reading, kind), headers=headers)
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()
    assert (row["label"] is None) == (row["fault"] is not None)
    return row["fault"] is None


def _by_intake(reading: Mapping[str, Any], kind: str) -> bool:
    # The intake's quick way sees a boolean column; the other way sees its text.
    limits = Limits(max_bad_share=1)
    try:
        checked = check_file(_file(reading, kind), load_spec(), suffix=f".{kind}", limits=limits)
    except UnreadableFileError as err:
        raise AssertionError(str(err)) from err
    return len(checked.accepted) == 1


def _verdict(client: httpx.Client, reading: dict[str, Any], door: str) -> bool:
    if door in _FILES:
        return _by_file(client, reading, door)
    if door.startswith("intake"):
        return _by_intake(reading, door.split()[1])
    if door == "v2":
        tensor = {"name": "inputs", "shape": [1, len(reading)], "datatype": "FP64"}
        body: Any = {"inputs": [tensor | {"data": list(reading.values())}]}
        answer = client.post("/v2/models/svm_prod/infer", json=body)
    elif door == "feedback":
        outcome = {"features": reading, "failure": False}
        answer = client.post("/feedback", json={"outcomes": [outcome]})
        # There is no store here: what is taken cannot be kept.
        assert answer.status_code in {422, 503}, answer.text
        return answer.status_code == 503
    else:
        answer = client.post("/predict", json={"request_id": 1, "features": reading})
    assert answer.status_code in {200, 422}, answer.text
    return answer.status_code == 200


@pytest.mark.parametrize("case", _CASES)
def test_a_reading_gets_one_verdict(client: httpx.Client, spec: MachineSpec, case: str) -> None:
    changes, good = _CASES[case]
    reading = dict(spec.example) | changes
    # Sent again for each reading that is taken, feedback would wait for the store each time.
    doors = [door for door in _DOORS if not (good and door == "feedback" and changes)]
    assert {door: _verdict(client, reading, door) for door in doors} == dict.fromkeys(doors, good)


def test_a_contradiction_is_named_alike(client: httpx.Client, spec: MachineSpec) -> None:
    reading = dict(spec.example) | {"type_l": True, "type_m": True}
    answer = client.post("/predict", json={"request_id": 1, "features": reading})
    (fault,) = answer.json()["errors"]
    assert fault["got"] == "type_l and type_m are both true"
    headers = {"Content-Type": "text/csv", "Accept": "application/json"}
    body = _file(reading, "csv")
    (row,) = client.post("/predict/batch", content=body, headers=headers).json()
    assert row["fault"].startswith(fault["got"])
    outcome = {"features": reading, "failure": False}
    answer = client.post("/feedback", json={"outcomes": [outcome]})
    assert answer.json()["errors"][0]["got"] == fault["got"]
    names = list(reading)
    tensors = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [float(reading[name])]}
        for name in names
    ]
    answer = client.post("/v2/models/svm_prod/infer", json={"inputs": tensors})
    assert answer.status_code == 422
    assert fault["got"] in answer.json()["error"]
    checked = check_file(body, spec, limits=Limits(max_bad_share=1))
    assert checked.tally.reasons == {"contradiction": 1}
