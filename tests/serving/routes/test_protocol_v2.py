"""The Open Inference Protocol: an unmodified client of somebody else's works against it."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.machine.spec import MachineSpec
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.unit

_MODEL = "svm_prod"


@pytest.fixture(scope="module")
def client(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = alone(
        tmp_path_factory.mktemp("home"),
        record_predictions=False,
        api_max_rows=100,
    )
    with serve(settings) as client:
        yield client


@pytest.fixture
def library(client: httpx.Client) -> Iterator[tuple[Any, dict[str, str]]]:
    host = str(client.base_url).removeprefix("http://").rstrip("/")
    found = triton.InferenceServerClient(host)
    yield found, {"Authorization": client.headers["Authorization"]}
    found.close()


@pytest.fixture
def rows(spec: MachineSpec) -> np.ndarray:
    failing = load_predictor(fallback_folder()).arrange([spec.example])
    rows = np.repeat(failing, 3, axis=0)
    rows[1, 2:5] = 1550.0, 38.0, 20.0
    return rows


def test_a_client_library_asks_what_there_is(library: Any, client: httpx.Client) -> None:
    found, headers = library
    version = client.get("/model").json()["version"]
    assert found.is_server_live()
    assert found.is_server_ready()
    assert found.get_server_metadata()["name"] == "presagio"
    assert found.is_model_ready(_MODEL, headers=headers)
    assert found.is_model_ready(_MODEL, version, headers=headers)
    assert not found.is_model_ready(_MODEL, "77", headers=headers)
    told = found.get_model_metadata(_MODEL, headers=headers)
    assert told["inputs"] == [{"name": "inputs", "datatype": "FP64", "shape": [-1, 7]}]
    assert told["versions"] == [version]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
@pytest.mark.parametrize("kind", ["FP64", "FP32"])
def test_a_client_library_gets_predictions(
    library: Any, rows: np.ndarray, kind: str, *, binary_in: bool, binary_out: bool | None
) -> None:
    found, headers = library
    sent = triton.InferInput("inputs", list(rows.shape), kind)
    sent.set_data_from_numpy(
        rows.astype(np.float32 if kind == "FP32" else np.float64), binary_data=binary_in
    )
    wanted = None
    if binary_out is not None:
        wanted = [
            triton.InferRequestedOutput(name, binary_data=binary_out)
            for name in ("label", "probability")
        ]
    answer = found.infer(_MODEL, [sent], outputs=wanted, headers=headers, request_id="17")
    own = load_predictor(fallback_folder()).predict(rows)
    assert answer.as_numpy("label").tolist() == own.label.tolist() == [True, False, True]
    assert np.allclose(answer.as_numpy("probability"), own.probability, atol=1e-4)
    assert answer.get_response()["id"] == "17"
    assert answer.get_response()["parameters"] == {"degraded": True}


def test_each_feature_may_be_a_tensor_of_its_own(
    library: Any, rows: np.ndarray, spec: MachineSpec
) -> None:
    found, headers = library
    tensors = []
    for i, name in enumerate(spec.input_names):
        boolean = name in spec.indicator_names
        tensor = triton.InferInput(name, [3, 1], "BOOL" if boolean else "FP64")
        column = rows[:, i : i + 1]
        tensor.set_data_from_numpy(column.astype(bool) if boolean else column)
        tensors.append(tensor)
    answer = found.infer(_MODEL, tensors, headers=headers)
    assert answer.as_numpy("label").tolist() == [True, False, True]


def test_a_client_library_reads_our_refusals(library: Any, rows: np.ndarray) -> None:
    found, headers = library
    rows[2, 3] = 900.0
    sent = triton.InferInput("inputs", list(rows.shape), "FP64")
    sent.set_data_from_numpy(rows)
    with pytest.raises(InferenceServerException, match=r"inputs\[2\].torque_nm: got 900"):
        found.infer(_MODEL, [sent], headers=headers)
    with pytest.raises(InferenceServerException, match="is not served here"):
        found.infer("other", [sent], headers=headers)


def _tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "inputs", "shape": [1, 7], "datatype": "FP64",
            "data": [302.8, 310.9, 1310, 63, 210, 1, 0]} | changes  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": []},
        {"inputs": [_tensor(data=None)]},
        {"inputs": [_tensor(data=[1, 2])]},
        {"inputs": [_tensor(data=["a"] * 7)]},
        {"inputs": [_tensor(data=[None] * 7)]},
        {"inputs": [_tensor(data=[10**400] + [0] * 6)]},
        {"inputs": [_tensor(data=[[[1]]] * 7)]},
        {"inputs": [_tensor(shape=[7, 1])]},
        {"inputs": [_tensor(shape=[-1, 7])]},
        {"inputs": [_tensor(shape=[2**31, 7])]},
        {"inputs": [_tensor(shape=[0, 7], data=[])]},
        {"inputs": [_tensor(datatype="BYTES")]},
        {"inputs": [_tensor(name="other")]},
        {"inputs": [_tensor(), _tensor()]},
        {"inputs": [_tensor(data=[302.8, 310.9, 1310, 63, 210, 0.5, 0])]},
        {"inputs": [_tensor(parameters={"binary_data_size": 56}, data=None)]},
        {"inputs": [_tensor(shape=[101, 7], data=[0] * 707)]},
        {"inputs": [_tensor()], "outputs": [{"name": "other"}]},
    ],
)
def test_what_cannot_be_judged_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post(f"/v2/models/{_MODEL}/infer", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"] == answer.json()["detail"]


@pytest.mark.parametrize("length", ["-1", "x", "99999", "9" * 5000])
def test_a_length_that_is_none_is_refused(client: httpx.Client, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    answer = client.post(
        f"/v2/models/{_MODEL}/infer", json={"inputs": [_tensor()]}, headers=headers
    )
    assert answer.status_code == 422
