"""The API of a fleet with units and times: files have their own history, outcomes say of which."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import polars as pl
import pytest

from presagio.inference.predictor import load_predictor
from presagio.ingest.checking import check_file
from presagio.machine.event_log import event_log
from presagio.registry.writer import open_registry
from presagio.scoring.frames import score_frame
from presagio.settings import Settings
from presagio.storage.objects import open_store
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.export.parity import export_model
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import train_model
from tests.champions import register_champion
from tests.conftest import RunningServices
from tests.motors import MOTORS, motor_csv, motor_rows, motors
from tests.serving.conftest import serve_app

pytestmark = pytest.mark.integration

_READING = {"load": 0.5, "vibration": 4.0}
_OUTCOME = {
    "unit": "M01", "time": "2026-01-31T08:30", "member": "forge", "features": _READING,
    "failure": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def settings(services: RunningServices, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    name = f"motors_{uuid4().hex[:8]}"
    changes = {
        "model_name": name, "experiment": name, "home": tmp_path_factory.mktemp("home"),
        "machine_spec": str(MOTORS),
    }  # fmt: skip
    return services.settings.model_copy(update=changes)


@pytest.fixture(scope="module")
def client(settings: Settings, files: Path) -> Iterator[httpx.Client]:
    rows = check_file(motor_csv(motor_rows(20, 60)), motors()).accepted
    model = train_model(dataset_from_frame(rows, motors(), "motors"), motors(), grid=SMALL_GRID)
    export_model(model, files)
    with serve_app(settings) as client:
        register_champion(model, open_registry(settings), files / "logged")
        while client.get("/health/ready").json()["source"] != "registry":
            time.sleep(0.05)
        yield client


def _sent(client: httpx.Client, body: bytes, kind: str) -> pl.DataFrame:
    answer = client.post(
        "/predict/batch", content=body, headers={"Content-Type": kind, "Accept": "text/csv"}
    )
    assert answer.status_code == 200, answer.text
    return pl.read_csv(io.BytesIO(answer.content), infer_schema_length=None)


def _parquet(rows: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    rows.write_parquet(out)
    return out.getvalue()


def _ndjson(rows: pl.DataFrame) -> bytes:
    local = pl.col("taken_at").dt.to_string("%Y-%m-%dT%H:%M:%S")
    return rows.with_columns(local).write_ndjson().encode()


_KINDS = {
    "text/csv": motor_csv,
    "application/vnd.apache.parquet": _parquet,
    "application/x-ndjson": _ndjson,
}


@pytest.mark.parametrize("kind", _KINDS)
def test_rows_of_a_file_have_the_history_that_the_file_tells(
    client: httpx.Client, files: Path, kind: str
) -> None:
    # More than one part of a file, so that what is known goes on from one to the next.
    rows = motor_rows(600, 100, seed=5).drop("failed").sort("taken_at", maintain_order=True)
    found = _sent(client, _KINDS[kind](rows), kind)
    checked = check_file(motor_csv(rows), motors()).accepted
    predictor = load_predictor(files)
    np.testing.assert_allclose(found["score"], score_frame(predictor, checked)["score"], atol=1e-9)
    gaps = rows["vibration"].is_null()
    assert found["imputed"].fill_null("").str.contains("vibration").to_list() == gaps.to_list()
    carried = found["carried"].fill_null("")
    assert not carried.str.contains("humidity").any()
    assert carried.str.contains("vibration").sum() == pytest.approx(gaps.sum(), rel=0.05)
    assert not carried.head(600).str.contains("vibration").any()


def test_without_unit_and_time_medians_stand_in(client: httpx.Client) -> None:
    rows = motor_rows(2, 30).drop("failed")
    for less in (rows.drop("motor"), rows.drop("taken_at"), rows.drop("motor", "shop")):
        found = _sent(client, motor_csv(less), "text/csv")
        assert found["fault"].null_count() == 60
        assert {*found["carried"].fill_null("")} == {""}


def test_a_row_whose_time_is_none_is_a_fault_of_its_own(client: httpx.Client) -> None:
    rows = motor_rows(1, 3).drop("failed")
    body = motor_csv(rows).replace(b"2026-01-01 01:00", b"yesterday")
    found = _sent(client, body, "text/csv")
    assert found["reason"].to_list() == [None, "not_a_time", None]


def test_one_reading_has_no_history_and_says_what_was_missing(client: httpx.Client) -> None:
    answer = client.post("/predict", json={"request_id": 1, "features": {"load": 0.5}}).json()
    assert answer["imputed"] == ["current_a", "vibration", "humidity"]


def test_an_outcome_says_of_which_unit_and_when(client: httpx.Client, settings: Settings) -> None:
    answer = client.post("/feedback", json={"outcomes": [_OUTCOME]})
    assert answer.status_code == 202, answer.text
    read = open_store(settings).read(settings.prefixes.bucket, answer.json()["keys"][0])
    assert read is not None
    checked = check_file(read[0], motors())
    (row,) = checked.accepted.to_dicts()
    assert (row["motor"], row["shop"], row["failed"]) == ("M01", "forge", True)
    assert row["taken_at"].isoformat() == "2026-01-31T07:30:00+00:00"
    assert json.loads(row["extra"])["said_version"] == "1"


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"unit": " "}, "unit", "missing"),
        ({"unit": "NA"}, "unit", "missing"),
        ({"unit": None}, "unit", None),
        ({"unit": "x" * 300}, "unit", None),
        ({"unit": "a\nb"}, "unit", None),
        ({"time": "31/01/2026"}, "time", "not_a_time"),
        ({"time": "2026-10-25T02:30"}, "time", "not_a_time"),
        ({"time": 5}, "time", None),
        ({"member": "paint"}, "member", None),
    ],
)
def test_an_outcome_of_no_unit_or_time_is_refused(
    client: httpx.Client, changes: dict[str, object], field: str, reason: str | None
) -> None:
    answer = client.post("/feedback", json={"outcomes": [_OUTCOME | changes]})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == f"outcomes.0.{field}"
    assert fault.get("reason") == reason


def test_the_documents_example_is_taken(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/feedback"]["post"]["requestBody"]["content"]["application/json"]
    answer = client.post("/feedback", json=body["example"])
    assert answer.status_code == 202, answer.text


def test_events_become_a_log_that_the_intake_takes(
    client: httpx.Client, settings: Settings
) -> None:
    events = [
        {"unit": "M01", "time": "2026-01-31T08:30", "kind": "failure", "mode": "bearing"},
        {"unit": "M02", "time": "2026-01-31T08:30", "kind": "repair"},
    ]
    answer = client.post("/events", json={"events": events})
    assert answer.status_code == 202, answer.text
    (key,) = answer.json()["keys"]
    assert key.startswith(f"{settings.prefixes.incoming}events/")
    # The same ones, sent again, are the same log.
    assert client.post("/events", json={"events": events}).json()["keys"] == [key]
    read = open_store(settings).read(settings.prefixes.bucket, key)
    assert read is not None
    checked = check_file(read[0], event_log(motors()))
    assert checked.accepted.select("motor", "is_failure", "is_repair", "mode").rows() == [
        ("M01", True, False, "bearing"), ("M02", False, True, ""),
    ]  # fmt: skip
    for wrong in ({"kind": "fire"}, {"time": "yesterday"}, {"unit": ""}, {"mode": "x\ny"}):
        refused = client.post("/events", json={"events": [events[0] | wrong]})
        assert refused.status_code == 422, wrong
        assert refused.json()["errors"][0]["field"] == f"events.0.{next(iter(wrong))}"
