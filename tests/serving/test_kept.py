"""What the API keeps in the object store: its answers, and outcomes, once."""

import io
import re
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from presagio.ingest.checking import check_file
from presagio.machine.spec import MachineSpec, load_spec
from presagio.registry.writer import open_registry
from presagio.serving.prometheus import ApiMetrics
from presagio.serving.recording import Recorder
from presagio.serving.routes.feedback import PREFIX as PREDICTED
from presagio.settings import ANSWERS, Settings
from presagio.storage.objects import ObjectStore, open_store
from presagio.training.train import TrainedModel
from tests.champions import register_champion
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
            "home": tmp_path, "data_bucket": bucket, "model_name": bucket, "experiment": bucket,
            "record_seconds": 0.2,
        }
    )  # fmt: skip
    open_store(settings).create_bucket(bucket)
    return settings


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return open_store(settings)


def _kept(store: ObjectStore, settings: Settings) -> pl.DataFrame:
    frames = []
    for found in store.list(settings.data_bucket, ANSWERS):
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
        update={
            "s3_endpoint": free_ports().url("s3"), "record_queue_rows": 5, "s3_timeout_s": 1,
            # Nothing is tried meanwhile, which would make place for one or another.
            "record_seconds": 3600.0,
        }
    )  # fmt: skip
    body = {"request_id": 1, "features": dict(spec.example)}
    with serve(away) as client:
        for _ in range(8):
            assert client.post("/predict", json=body).status_code == 200
        text = client.get("/metrics").text
    assert 'presagio_dropped_predictions_total{fleet="ai4i2020"} 3.0' in text


def test_what_waits_is_kept_when_the_store_is_back(
    settings: Settings, store: ObjectStore, spec: MachineSpec
) -> None:
    from presagio.serving.champion.holder import load_fallback

    served, metrics = load_fallback(spec), ApiMetrics().of(spec.name)
    recorder = Recorder(settings.model_copy(update={"record_seconds": 3600.0}), spec, metrics)
    rows = served.predictor.arrange([spec.example] * 25_000)
    recorder.many("r", rows, served.predictor.predict(rows), served)
    recorder.close()
    assert recorder.waiting == 0
    assert len(_kept(store, settings)) == 25_000


def _outcomes(spec: MachineSpec, *, failure: bool = True) -> dict[str, Any]:
    return {"outcomes": [{"features": spec.example, "failure": failure, "mode": "osf"}]}


def _filed(store: ObjectStore, settings: Settings) -> dict[str, str]:
    found = store.list(settings.prefixes.bucket, "incoming/feedback/")
    return {object_.key: object_.etag for object_ in found}


def test_outcomes_sent_twice_are_one_file_whoever_is_champion_by_then(
    serve: Serve, settings: Settings, store: ObjectStore, spec: MachineSpec, trained: TrainedModel,
    tmp_path: Path,
) -> None:  # fmt: skip
    before = _filed(store, settings)
    with serve(settings) as client:
        first = client.post("/feedback", json=_outcomes(spec), headers={"Idempotency-Key": "k"})
        written = _filed(store, settings)
    register_champion(trained, open_registry(settings), tmp_path / "files")
    with serve(settings) as client:
        assert client.get("/health/ready").json()["source"] == "registry"
        again = client.post("/feedback", json=_outcomes(spec))
        other = client.post(
            "/feedback", json=_outcomes(spec, failure=False), headers={"Idempotency-Key": "k"}
        )
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    (key,) = first.json()["keys"]
    assert set(written) - set(before) == {key}
    # The bytes are the same too, by which the intake knows a file.
    assert _filed(store, settings)[key] == written[key]
    # Another body is another file, whatever key it comes under.
    assert other.status_code == 202
    assert other.json()["keys"] != [key]


def test_outcomes_that_say_what_was_answered_ask_no_model(
    serve: Serve, settings: Settings, store: ObjectStore, spec: MachineSpec
) -> None:
    (outcome,) = _outcomes(spec)["outcomes"]
    body = {"outcomes": [outcome | {"said_alarm": True, "said_version": "7"}]}
    with serve(settings) as client:
        (key,) = client.post("/feedback", json=body).json()["keys"]
    read = store.read(settings.prefixes.bucket, key)
    assert read is not None
    row = pl.read_csv(io.BytesIO(read[0])).row(0, named=True)
    assert (row["said_alarm"], row["said_version"]) == (True, 7)
    assert list(store.list(settings.data_bucket, PREDICTED)) == []


def test_whatever_feedback_takes_the_intake_takes(
    serve: Serve, settings: Settings, spec: MachineSpec, tmp_path: Path
) -> None:
    # A spec that rejects repeats, and whose ranges do not tell how a number is meant.
    text = (files("presagio.machine") / "specs" / "ai4i2020.toml").read_text(encoding="utf-8")
    text = text.replace('duplicates = "keep"', 'duplicates = "reject"')
    file = tmp_path / "strict.toml"
    file.write_text(re.sub(r"(?m)^range = .*", "range = [-1e9, 1e9]", text), encoding="utf-8")
    reading = dict(spec.example) | dict.fromkeys(spec.feature_names, 1.551)
    outcome = {"features": reading, "failure": 0, "said_alarm": 1, "said_version": 'a, "b"'}
    outcomes = [outcome, outcome | {"request_id": 7}, outcome | {"failure": 1}]
    with serve(settings.model_copy(update={"machine_spec": str(file)})) as client:
        answer = client.post("/feedback", json={"outcomes": outcomes})
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] == 3
    store, taken = open_store(settings), []
    for key in answer.json()["keys"]:
        body = store.read(settings.prefixes.bucket, key)
        assert body is not None
        checked = check_file(body[0], load_spec(file))
        assert (checked.fault, len(checked.rejected)) == (None, 0)
        taken += checked.accepted[spec.target.name].to_list()
    assert taken == [False, True]


def test_a_file_sent_twice_under_one_key_gets_the_same_answer(
    serve: Serve, settings: Settings, store: ObjectStore
) -> None:
    headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "text/csv"}
    with serve(settings) as client:
        first, again = (
            client.post("/predict/batch", content=_CSV, headers=headers) for _ in range(2)
        )
        time.sleep(0.5)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    # Nothing of it is kept but what was predicted.
    assert {found.key.split("/")[0] for found in store.list(settings.data_bucket, "")} == {
        ANSWERS.split("/")[0]
    }


def test_without_the_store_outcomes_are_refused_and_files_answered(
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

    served, metrics = load_fallback(spec), ApiMetrics()
    # Neither a disk that is gone nor anything else that is no error of ours may end it.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    recorder = Recorder(settings, spec, metrics.of(spec.name))
    inputs = list(map(float, spec.example.values()))
    recorder.one("r", 7, inputs, (1.5, 0.75, True), served)
    until = time.monotonic() + 30
    while b'presagio_recording_failures_total{fleet="ai4i2020"} 0.0' in metrics.exposition():
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
