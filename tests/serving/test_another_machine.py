"""The API of another machine: without a model at first, then with one that names what it lacked."""

import io
import json
import time
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from presagio.ingest.checking import check_file
from presagio.registry.writer import open_registry
from presagio.settings import Settings
from presagio.storage.objects import open_store
from presagio.training.train import TrainedModel
from tests.champions import register_champion
from tests.conftest import RunningServices
from tests.pumps import PUMPS, pump_csv, pump_rows, pumps
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.integration

_READING = {"pressure_bar": 19.5, "flow": 20.5, "seal_double": False}


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    name = f"pumps_{uuid4().hex[:8]}"
    own = {"model_name": name, "experiment": name, "home": tmp_path, "machine_spec": str(PUMPS)}
    return services.settings.model_copy(update=own)


def test_without_a_model_everything_else_works_and_it_says_what_to_do(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(alone(tmp_path, machine_spec=str(PUMPS))) as client:
        ready = client.get("/health/ready").json()
        body = {"request_id": 1, "features": _READING}
        csv = {"content-type": "text/csv"}
        refused = [
            client.post("/predict", json=body),
            client.post("/predict/batch", content=pump_csv(3), headers=csv),
            client.get("/model"),
            client.get("/model/card"),
            client.get("/v2/models/svm_prod"),
        ]
        wrong = client.post("/predict", json={"request_id": 1, "features": {"flow": 1}})
        document = client.get("/openapi.json").json()
        reloaded = client.post("/model/reload").json()
    assert (ready["source"], ready["model"], ready["degraded"]) == ("none", "none", True)
    assert (reloaded["model"], reloaded["degraded"]) == ("none", True)
    for answer in refused:
        assert answer.status_code == 503, answer.text
        assert answer.json()["type"] == "urn:presagio:problem:no-model"
        assert "presagio train --csv FILE" in answer.json()["detail"]
    assert wrong.status_code == 422
    features = document["components"]["schemas"]["Features"]
    assert features["required"] == ["pressure_bar", "flow", "seal_double"]
    assert "maximum" not in features["properties"]["flow"]


def test_a_champion_is_taken_and_its_answers_say_what_was_missing(
    serve: Serve, settings: Settings, pump_model: TrainedModel, tmp_path: Path
) -> None:
    spec, registry = pumps(), open_registry(settings)
    with serve(settings) as client:
        register_champion(pump_model, registry, tmp_path / "files")
        while client.get("/health/ready").json()["source"] != "registry":
            time.sleep(0.05)
        single = client.post(
            "/predict?explain=true",
            json={"request_id": 1, "features": _READING | {"restarts": None}},
        ).json()
        whole = {"restarts": 5.0, "vibration_mm_s": 3.0}
        complete = client.post(
            "/predict", json={"request_id": 2, "features": _READING | whole}
        ).json()
        rows = pump_rows(50).drop("Class")
        batch = client.post(
            "/predict/batch", content=rows.write_csv(), headers={"content-type": "text/csv"}
        )
        names = list(spec.input_names)
        tensor = {
            "name": "inputs", "datatype": "FP64", "shape": [2, len(names)],
            "data": [[19.5, 20.5, None, None, 0], [19.5, 20.5, 5.0, 3.0, 0]],
        }  # fmt: skip
        v2 = client.post(f"/v2/models/{settings.model_name}/infer", json={"inputs": [tensor]})
        outcome = {"features": _READING, "failure": True}
        kept = client.post("/feedback", json={"outcomes": [outcome]})
    assert single["imputed"] == ["restarts", "vibration_mm_s"]
    assert complete["imputed"] == []
    assert {*single["diagnosis"]["contributions"]} == {*spec.feature_names, "seal"}
    answers = pl.read_csv(io.BytesIO(batch.content))
    lacking = rows["Vibration"].is_in(["na", ""])
    assert answers["fault"].null_count() == 50
    assert (answers["imputed"] == "vibration_mm_s").fill_null(value=False).to_list() == (
        lacking.to_list()
    )
    assert v2.status_code == 200, v2.text
    assert v2.json()["parameters"]["imputed"] == 1
    scores = next(o["data"] for o in v2.json()["outputs"] if o["name"] == "score")
    assert scores == pytest.approx([single["score"], complete["score"]])
    assert kept.status_code == 202, kept.text
    read = open_store(settings).read(settings.prefixes.bucket, kept.json()["keys"][0])
    assert read is not None
    checked = check_file(io.BytesIO(read[0]), spec, suffix=".csv")
    assert checked.accepted["restarts"].to_list() == [None]
    assert json.loads(checked.accepted["extra"][0])["said_version"] == "1"
