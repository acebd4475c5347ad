"""What the API keeps in the object store: its answers, and what it answered under a key."""

import io
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import polars as pl
import pytest

from presagio.machine.spec import MachineSpec
from presagio.serving.champion.board import FOLDER_VARIABLE
from presagio.serving.prometheus import Metrics
from presagio.serving.recording import PREFIX, Recorder
from presagio.settings import Settings
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices, free_ports
from tests.serving.conftest import Serve

pytestmark = pytest.mark.integration

_CSV = (
    "Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
    "Tool wear [min]\nL,300,310,1500,40,10\nQ,300,310,1500,40,10\nM,300,310,1500,70,10\n"
)


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    bucket = f"data-{uuid4().hex[:8]}"
    settings = services.settings.model_copy(
        update={
            "home": tmp_path, "data_bucket": bucket, "model_name": bucket, "record_seconds": 0.2,
        }
    )  # fmt: skip
    open_store(settings).create_bucket(bucket)
    return settings


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return open_store(settings)


def _kept(store: ObjectStore, settings: Settings) -> pl.DataFrame:
    frames = []
    for found in store.list(settings.data_bucket, PREFIX):
        read = store.read(settings.data_bucket, found.key)
        assert read is not None
        frames.append(pl.read_parquet(io.BytesIO(read[0])))
    return pl.concat(frames).sort("at") if frames else pl.DataFrame()


def test_answers_are_kept_with_model_and_request(
    serve: Serve, settings: Settings, store: ObjectStore, spec: MachineSpec
) -> None:
    body = {"request_id": 41, "features": dict(spec.example)}
    with serve(settings) as client:
        one = client.post("/predict", json=body, headers={"X-Request-ID": "one"}).json()
        client.post(
            "/predict/batch", content=_CSV,
            headers={"X-Request-ID": "many", "Content-Type": "text/csv"},
        ).raise_for_status()  # fmt: skip
        time.sleep(0.6)
    kept = _kept(store, settings)
    assert kept["request"].to_list() == ["one", "many", "many"]
    assert kept["request_id"].to_list() == [41, None, None]
    assert kept["version"].unique().to_list() == [one["version"]]
    assert kept["probability"][0] == one["probability"]
    assert kept["label"].to_list() == [True, False, False] or kept["label"][0]
    assert {name: kept[name][0] for name in spec.input_names} == spec.example


def test_a_full_queue_drops_and_counts_and_never_waits(
    settings: Settings, serve: Serve, spec: MachineSpec
) -> None:
    away = settings.model_copy(
        update={"s3_endpoint": free_ports().url("s3"), "record_queue_rows": 5, "s3_timeout_s": 1}
    )
    body = {"request_id": 1, "features": dict(spec.example)}
    with serve(away) as client:
        for _ in range(8):
            assert client.post("/predict", json=body).status_code == 200
        text = client.get("/metrics").text
    assert "presagio_dropped_predictions_total 3.0" in text


def test_what_waits_is_kept_when_the_store_is_back(
    settings: Settings, store: ObjectStore, spec: MachineSpec
) -> None:
    from presagio.serving.champion.holder import load_fallback

    served, metrics = load_fallback(spec), Metrics()
    recorder = Recorder(settings.model_copy(update={"record_seconds": 3600.0}), spec, metrics)
    rows = served.predictor.arrange([spec.example] * 25_000)
    recorder.many("r", rows, served.predictor.predict(rows), served)
    recorder.close()
    assert recorder.waiting == 0
    assert len(_kept(store, settings)) == 25_000


def _outcomes(spec: MachineSpec, *, failure: bool = True) -> dict[str, Any]:
    return {"outcomes": [{"features": spec.example, "failure": failure, "mode": "osf"}]}


def test_outcomes_under_one_key_are_taken_once(
    serve: Serve, settings: Settings, spec: MachineSpec
) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    with serve(settings) as client:
        first = client.post("/feedback", json=_outcomes(spec), headers=headers)
        again = client.post("/feedback", json=_outcomes(spec), headers=headers)
        other = client.post("/feedback", json=_outcomes(spec, failure=False), headers=headers)
        empty = client.post("/feedback", json=_outcomes(spec), headers={"Idempotency-Key": ""})
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert other.status_code == 409
    assert other.json()["type"] == "urn:presagio:problem:idempotency-key-reused"
    assert empty.status_code == 400


def test_of_many_bodies_at_once_under_one_key_one_is_taken(
    serve: Serve, settings: Settings, store: ObjectStore, spec: MachineSpec, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "workers").mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "workers"))

    def bodies(*, same: bool) -> list[dict[str, Any]]:
        example = dict(spec.example)
        return [
            {"outcomes": [{"request_id": 1 if same else i, "features": example, "failure": False}]}
            for i in range(8)
        ]

    with serve(settings) as one, serve(settings) as other, ThreadPoolExecutor(8) as pool:

        def ask(i: int, body: dict[str, Any], key: str) -> httpx.Response:
            client = (one, other)[i % 2]
            return client.post("/feedback", json=body, headers={"Idempotency-Key": key})

        def at_once(*, same: bool) -> list[httpx.Response]:
            key = uuid4().hex
            return list(pool.map(ask, range(8), bodies(same=same), [key] * 8))

        different, same = at_once(same=False), at_once(same=True)
    assert Counter(answer.status_code for answer in different) == {202: 1, 409: 7}
    taken = next(answer for answer in different if answer.status_code == 202).json()["keys"]
    assert {answer.status_code for answer in same} == {202}
    assert len({answer.text for answer in same}) == 1
    found = {found.key for found in store.list(settings.prefixes.bucket, "incoming/feedback/")}
    assert set(taken) <= found


def test_a_file_under_one_key_is_judged_once(
    serve: Serve, settings: Settings, store: ObjectStore
) -> None:
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "text/csv"}

    def ask(client: httpx.Client, text: str = _CSV) -> httpx.Response:
        return client.post("/predict/batch", content=text, headers=headers)

    with serve(settings) as client:
        first, again = ask(client), ask(client)
        assert first.content == again.content
        assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (
            None, "true",
        )  # fmt: skip
        assert ask(client, _CSV + "L,300,310,1500,40,10\n").status_code == 409
        # Nobody gets the answers of somebody else.
        client.post("/token", data={
            "grant_type": "client_credentials", "client_id": "presagio",
            "client_secret": "the client's secret"}).raise_for_status()  # fmt: skip
        time.sleep(0.5)
    assert len(_kept(store, settings)) == 2


def test_without_the_store_a_key_cannot_be_kept_and_says_so(
    serve: Serve, settings: Settings, spec: MachineSpec
) -> None:
    away = settings.model_copy(update={"s3_endpoint": free_ports().url("s3"), "s3_timeout_s": 1})
    with serve(away) as client:
        answer = client.post("/feedback", json=_outcomes(spec), headers={"Idempotency-Key": "k"})
        plain = client.post("/predict/batch", content=_CSV, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, plain.status_code) == (503, 200)
    assert answer.json()["type"] == "urn:presagio:problem:store-unavailable"


def test_the_thread_that_writes_outlives_any_fault(
    settings: Settings, store: ObjectStore, spec: MachineSpec, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from presagio.serving.champion.holder import load_fallback

    served, metrics = load_fallback(spec), Metrics()
    # Neither a disk that is gone nor anything else that is no error of ours may end it.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    recorder = Recorder(settings, spec, metrics)
    inputs = list(map(float, spec.example.values()))
    recorder.one("r", 7, inputs, (1.5, 0.75, True), served)
    until = time.monotonic() + 30
    while b"presagio_recording_failures_total 0.0" in metrics.exposition():
        assert time.monotonic() < until
        time.sleep(0.05)
    monkeypatch.setattr(tempfile, "tempdir", None)
    recorder.one("r", 8, inputs, (-1.5, 0.25, False), served)
    recorder.close()
    kept = _kept(store, settings)
    assert kept["request_id"].to_list() == [7, 8]
    assert kept["score"].to_list() == [1.5, -1.5]
    assert kept["label"].to_list() == [True, False]
    assert {name: kept[name][0] for name in spec.input_names} == spec.example
