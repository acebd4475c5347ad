"""Fleets side by side in one API: their routes, models and metrics, and one more while it runs."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import httpx
import polars as pl
import pytest

from presagio.fleet import load_fleets
from presagio.registry.writer import open_registry
from presagio.settings import Settings
from presagio.storage.objects import open_store
from presagio.training.train import TrainedModel
from tests.champions import register_champion
from tests.conftest import RunningServices, free_ports
from tests.pumps import PUMPS, pump_csv, pumps_called
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.integration

_PUMP = {"pressure_bar": 19.5, "flow": 20.5, "seal_double": False}


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    """Settings with one fleet beside the default one, under names that no other test has."""
    name = f"fleets-{uuid4().hex[:8]}"
    open_store(services.settings).create_bucket(name)
    (tmp_path / "spec.toml").write_bytes(pumps_called(name.replace("-", "_")))
    own = {
        "home": tmp_path, "s3_bucket": name, "data_bucket": name, "model_name": name,
        "experiment": name, "fleets": (str(tmp_path / "spec.toml"),), "record_seconds": 0.2,
    }  # fmt: skip
    return services.settings.model_copy(update=own)


@pytest.fixture
def name(settings: Settings) -> str:
    return settings.data_bucket.replace("-", "_")


def eventually(fine: Callable[[], bool], limit_s: float = 20.0) -> None:
    until = time.monotonic() + limit_s
    while not fine():
        assert time.monotonic() < until
        time.sleep(0.05)


def _predict(client: httpx.Client, route: str, features: Mapping[str, object]) -> httpx.Response:
    return client.post(f"{route}/predict", json={"request_id": 1, "features": features})


def test_each_fleet_has_its_routes_its_schema_and_its_champion(
    serve: Serve, settings: Settings, name: str, pump_model: TrainedModel, tmp_path: Path
) -> None:
    fleet, route = load_fleets(settings).get(name), f"/fleets/{name}"
    example = dict(load_fleets(settings).get().spec.example)
    with serve(settings) as client:
        waiting = _predict(client, route, _PUMP)
        assert waiting.status_code == 503
        assert waiting.json()["type"] == "urn:presagio:problem:no-model"
        assert f"presagio train --fleet {name} --csv FILE" in waiting.json()["detail"]
        # The others go on.
        assert _predict(client, "", example).json()["model"] == "fallback"

        register_champion(pump_model, open_registry(fleet.settings), tmp_path / "files")
        eventually(lambda: client.get(f"{route}/health/ready").json().get("source") == "registry")
        answer = _predict(client, route, _PUMP).json()
        assert (answer["model"], answer["version"]) == (f"svm_{name}", "1")
        assert answer["imputed"] == ["restarts", "vibration_mm_s"]
        # By its name, the default fleet has the same routes.
        named = _predict(client, "/fleets/ai4i2020", example).json()
        assert named == _predict(client, "", example).json()
        # A reading of one fleet is none of the other.
        assert _predict(client, route, example).status_code == 422
        assert _predict(client, "", _PUMP).status_code == 422

        batch = client.post(
            f"{route}/predict/batch", content=pump_csv(9), headers={"content-type": "text/csv"}
        )
        assert batch.headers["x-presagio-model"] == f"svm_{name}"
        assert client.get(f"{route}/model").json()["version"] == "1"
        assert "<html" in client.get(f"{route}/model/card").text
        assert client.get(f"{route}/models").json()["model"] == f"svm_{name}"
        assert client.post(f"{route}/model/reload").json()["version"] == "1"
        v2 = client.get(f"/v2/models/svm_{name}").json()
        assert v2["inputs"][0]["shape"] == [-1, 5]
        assert client.get("/v2/models/fallback").json()["inputs"][0]["shape"] == [-1, 7]
        unknown = client.get("/v2/models/svm_lathes")
        assert unknown.status_code == 404
        assert f"svm_{name}" in unknown.json()["detail"]

        document = client.get(f"{route}/openapi.json").json()
        features = document["components"]["schemas"]["Features"]
        assert features["required"] == ["pressure_bar", "flow", "seal_double"]
        assert document["servers"] == [{"url": route}]
        assert "torque_nm" not in json.dumps(document["paths"])
        assert f"{route}/openapi.json" in client.get(f"{route}/docs").text
        browser = {"authorization": "", "accept": "text/html"}
        page = client.get(f"{route}/model/card", headers=browser)
        assert f"presagio card --fleet {name}" in page.text

        listed = client.get("/fleets").json()
        assert [one["name"] for one in listed["fleets"]] == ["ai4i2020", name]
        default, other = listed["fleets"]
        assert default["default"]
        assert (default["model"], default["registered_model"]) == ("fallback", settings.model_name)
        assert (other["model"], other["version"], other["degraded"]) == (f"svm_{name}", "1", False)
        assert client.get(f"/fleets/{name}").json() == other


def test_answers_outcomes_and_metrics_are_each_fleets_own(
    serve: Serve, settings: Settings, name: str, pump_model: TrainedModel, tmp_path: Path
) -> None:
    fleet, store = load_fleets(settings).get(name), open_store(settings)
    register_champion(pump_model, open_registry(fleet.settings), tmp_path / "files")
    example = dict(load_fleets(settings).get().spec.example)
    with serve(settings) as client:
        ready = f"/fleets/{name}/health/ready"
        eventually(lambda: client.get(ready).json().get("source") == "registry")
        for _ in range(3):
            assert _predict(client, f"/fleets/{name}", _PUMP).status_code == 200
        _predict(client, "", example)
        outcome = {"features": _PUMP, "failure": True}
        kept = client.post(f"/fleets/{name}/feedback", json={"outcomes": [outcome]}).json()
        assert kept["keys"][0].startswith(f"incoming/{name}/feedback/")
        assert store.head(settings.s3_bucket, kept["keys"][0]) is not None

        def recorded(prefix: str) -> int:
            found = [one.key for one in store.list(settings.data_bucket, f"{prefix}date=")]
            read = [store.read(settings.data_bucket, key) for key in found]
            return sum(len(pl.read_parquet(one[0])) for one in read if one is not None)

        eventually(lambda: recorded(f"predictions/{name}/") == 3)
        eventually(lambda: recorded("predictions/") == 1)
        text = client.get("/metrics").text
    for line in (
        f'presagio_rows_total{{fleet="{name}"}} 3.0',
        'presagio_rows_total{fleet="ai4i2020"} 1.0',
        f'presagio_requests_total{{route="/fleets/{name}/predict",status="200"}} 3.0',
        f'presagio_requests_total{{route="/fleets/{name}/feedback",status="202"}} 1.0',
        f'presagio_model_served{{fleet="{name}",model="svm_{name}",version="1"}} 1.0',
        f'presagio_degraded{{fleet="{name}"}} 0.0',
        'presagio_degraded{fleet="ai4i2020"} 1.0',
    ):
        assert line in text


def test_a_fleet_is_added_changed_and_removed_without_a_restart(
    serve: Serve, settings: Settings
) -> None:
    added = f"fans_{uuid4().hex[:8]}"

    def threads() -> int:
        own = ("record-predictions", "presagio-warm-up")
        return sum(thread.name.startswith(own) for thread in threading.enumerate())

    with serve(settings) as client:
        eventually(lambda: client.get("/fleets/nowhere").status_code == 404)
        before = threads()
        unknown = client.get(f"/fleets/{added}/model")
        assert unknown.status_code == 404
        assert unknown.json()["type"] == "urn:presagio:problem:no-such-fleet"
        assert "there are: ai4i2020, fleets_" in unknown.json()["detail"]

        made = client.post("/fleets", content=pumps_called(added))
        assert made.status_code == 201, made.text
        assert (made.json()["name"], made.json()["model"]) == (added, "none")
        assert "presagio train --fleet" in made.json()["reason"]
        assert _predict(client, f"/fleets/{added}", _PUMP).status_code == 503
        assert client.get(f"/v2/models/svm_{added}").status_code == 503
        assert client.get("/health/ready").status_code == 200

        changed = pumps_called(added).replace(b'name = "flow"', b'name = "flow_m3_h"').replace(
            b'"flow"]', b'"flow_m3_h"]'
        )  # fmt: skip
        again = client.post("/fleets", content=changed)
        assert again.status_code == 201, again.text
        assert again.json()["spec_sha256"] != made.json()["spec_sha256"]
        required = client.get(f"/fleets/{added}/openapi.json").json()
        assert "flow_m3_h" in required["components"]["schemas"]["Features"]["required"]

        assert client.delete(f"/fleets/{added}").json() == {"removed": added}
        assert client.get(f"/fleets/{added}/model").status_code == 404
        assert client.delete(f"/fleets/{added}").status_code == 404
        # Nothing of it stays behind.
        eventually(lambda: threads() <= before)
        assert client.post("/fleets", content=pumps_called(added)).status_code == 201
    # It is there again after a restart, by what lies in the bucket.
    with serve(settings) as client:
        eventually(lambda: client.get(f"/fleets/{added}").status_code == 200)


def test_what_cannot_be_added_or_removed_is_refused_with_the_reason(
    serve: Serve, settings: Settings, name: str
) -> None:
    with serve(settings) as client:
        eventually(lambda: client.get("/fleets/nowhere").status_code == 404)
        bad = client.post("/fleets", content=pumps_called("fans").replace(b'"median"', b'"guess"'))
        assert (bad.status_code, bad.json()["type"]) == (422, "urn:presagio:problem:bad-spec")
        assert "line" in bad.json()["detail"]
        for body in (b"", b"\xff\xfe", b"[" * 100_000, b"x = 1\n" * 10_000):
            assert client.post("/fleets", content=body).status_code == 422
        assert client.post("/fleets", content=b"#" * (1 << 20)).status_code == 413
        taken = client.post("/fleets", content=pumps_called(name))
        assert (taken.status_code, taken.json()["status"]) == (409, 409)
        assert "which the settings name" in taken.json()["detail"]
        assert client.delete("/fleets/ai4i2020").status_code == 409
        assert client.delete("/fleets/..%2Fpredictions").status_code == 404
        assert client.post("/fleets", content=pumps_called("feedback")).status_code == 422
        assert [f["name"] for f in client.get("/fleets").json()["fleets"]] == ["ai4i2020", name]


def test_a_bad_spec_in_the_bucket_is_named_and_the_others_go_on(
    serve: Serve, settings: Settings
) -> None:
    store, added = open_store(settings), f"fans_{uuid4().hex[:8]}"
    store.write(settings.data_bucket, f"fleets/{added}.toml", b"name = \n")
    with serve(settings) as client:
        eventually(lambda: len(client.get("/fleets").json()["faults"]) == 1)
        (fault,) = client.get("/fleets").json()["faults"]
        assert fault["name"] == added
        assert "is no TOML" in fault["message"]
        refused = client.get(f"/fleets/{added}/model")
        assert (refused.status_code, refused.json()["title"]) == (
            503, "The fleet's machine spec is at fault",
        )  # fmt: skip
        assert client.get("/health/ready").status_code == 200
        # Mended in the bucket, it is served.
        store.write(settings.data_bucket, f"fleets/{added}.toml", pumps_called(added))
        eventually(lambda: client.get(f"/fleets/{added}").status_code == 200)
        assert client.get("/fleets").json()["faults"] == []


def test_a_bad_default_spec_stops_the_default_fleet_only(serve: Serve, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ", encoding="utf-8")
    settings = alone(tmp_path, machine_spec=str(broken), fleets=(str(PUMPS),))
    with serve(settings) as client:
        ready = client.get("/health/ready").json()
        assert (ready["model"], ready["degraded"]) == ("none", True)
        assert "broken.toml is no TOML" in ready["reason"]
        refused = [
            client.post("/predict", json={}), client.get("/model"), client.post("/feedback"),
        ]  # fmt: skip
        for answer in refused:
            assert answer.status_code == 503
            assert "broken.toml is no TOML" in answer.json()["detail"]
        assert client.get("/fleets/pumps/health/ready").json()["source"] == "none"
        assert client.get("/v2/models/svm_pumps").status_code == 503
        assert client.get("/fleets").json()["faults"][0]["source"] == str(broken)


def test_while_the_store_is_away_an_unknown_fleet_may_be_one_that_was_added(
    serve: Serve, tmp_path: Path
) -> None:
    away = {"s3_endpoint": free_ports().url("s3"), "s3_access_key": "k", "s3_secret_key": "s"}
    settings = alone(tmp_path, record_predictions=False, **away)
    with serve(settings) as client:
        answer = client.get("/fleets/fans/model")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "urn:presagio:problem:fleets-unknown"
        assert client.post("/fleets", content=pumps_called("fans")).status_code == 503
        assert client.get("/model").status_code == 200
