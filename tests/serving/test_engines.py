"""The API of a fleet whose failures are foreseen: series of readings, files, one reading."""

import io
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.ingest.checking import check_file
from presagio.machine.spec import parse_spec
from presagio.registry.writer import open_registry
from presagio.serving.routes.requests import colons_of, request_model
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import train_model
from tests.champions import register_champion
from tests.conftest import RunningServices
from tests.engines import ENGINES, engine_rows, engines
from tests.serving.conftest import serve_app

pytestmark = pytest.mark.integration

_NAMES = engines().feature_names


@pytest.fixture(scope="module")
def client(
    services: RunningServices, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    name, folder = f"engines_{uuid4().hex[:8]}", tmp_path_factory.mktemp("home")
    changes = {
        "model_name": name, "experiment": name, "home": folder, "machine_spec": str(ENGINES),
    }  # fmt: skip
    settings = services.settings.model_copy(update=changes)
    rows = check_file(engine_rows(15).write_csv().encode(), engines()).accepted
    model = train_model(dataset_from_frame(rows, engines(), "engines"), engines(), grid=SMALL_GRID)
    with serve_app(settings) as client:
        register_champion(model, open_registry(settings), folder / "files")
        for _ in range(400):
            ready = client.get("/health/ready").json()
            if ready["source"] == "registry":
                break
            time.sleep(0.05)
        assert ready["source"] == "registry", ready
        yield client


@pytest.fixture(scope="module")
def engine() -> pl.DataFrame:
    return engine_rows(1, seed=7)


def _readings(rows: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {"time": float(row["cycle"]), "features": {name: row[name] for name in _NAMES}}
        for row in rows.iter_rows(named=True)
    ]


def _predict(client: httpx.Client, query: str = "", **body: Any) -> dict[str, Any]:
    answer = client.post(f"/predict{query}", json={"request_id": 1} | body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _of_file(client: httpx.Client, rows: pl.DataFrame) -> pl.DataFrame:
    answer = client.post(
        "/predict/batch", content=rows.write_csv(), headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 200, answer.text
    return pl.read_csv(io.BytesIO(answer.content), infer_schema_length=None)


def test_a_series_is_answered_as_its_last_row_in_a_file(
    client: httpx.Client, engine: pl.DataFrame
) -> None:
    scores = _of_file(client, engine)["score"].to_list()
    assert scores[-1] > scores[10]
    for rows in (1, 12, 45, len(engine)):
        found = _predict(client, unit="1", readings=_readings(engine.head(rows)))
        assert found["score"] == pytest.approx(scores[rows - 1], abs=1e-9)
        assert (found["horizon"], found["rows_used"]) == (30.0, min(rows, 40))
        assert found["complete"] == (rows >= 40)
    assert found["label"] is True
    life = found["remaining_life"]
    last = _of_file(client, engine).row(-1, named=True)
    assert life["value"] == pytest.approx(last["remaining_life"], abs=1e-6)
    assert life["low"] == pytest.approx(last["remaining_low"], abs=1e-6)
    assert life["low"] <= life["value"] <= life["high"] < 60
    assert (life["unit"], life["coverage"]) == ("cycle", 0.9)
    first = _of_file(client, engine).row(0, named=True)
    assert first["remaining_high"] is None


def test_the_first_readings_and_the_newest_say_as_much_as_all(
    client: httpx.Client, engine: pl.DataFrame
) -> None:
    whole = _predict(client, unit="1", readings=_readings(engine))
    ends = pl.concat([engine.head(10), engine.tail(30)])
    found = _predict(client, unit="1", readings=_readings(ends))
    assert found["score"] == pytest.approx(whole["score"], abs=1e-9)


def test_a_reading_alone_is_a_series_of_one_and_says_so(
    client: httpx.Client, engine: pl.DataFrame
) -> None:
    (reading,) = _readings(engine.head(1))
    alone = _predict(client, features=reading["features"])
    assert (alone["rows_used"], alone["complete"], alone["horizon"]) == (1, False, 30.0)
    tensor = {
        "name": "inputs", "datatype": "FP64", "shape": [1, len(_NAMES)],
        "data": [list(reading["features"].values())],
    }  # fmt: skip
    model = client.get("/model").json()["model"]
    v2 = client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]}).json()
    score = next(output["data"] for output in v2["outputs"] if output["name"] == "score")
    assert score == pytest.approx([alone["score"]])


def test_an_alarm_says_how_sensors_changed(client: httpx.Client, engine: pl.DataFrame) -> None:
    diagnosis = _predict(client, "?explain=true", readings=_readings(engine))["diagnosis"]
    assert {*diagnosis["contributions"]} == {*_NAMES, "age"}
    assert diagnosis["clearing_change"] is None
    assert len(diagnosis["changes"]) == 3
    change = diagnosis["changes"][0]
    last = engine.tail(30)[change["feature"]]
    assert change["by"] == pytest.approx(last[-1] - last[0])
    assert (change["over"], change["over_unit"]) == (29.0, "cycle")


def _swap(readings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [readings[1], readings[0]]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (lambda _: {}, "readings", "features, of one reading, or readings"),
        (lambda found: {"readings": found, "features": found[0]["features"]}, "readings", "both"),
        (lambda _: {"readings": []}, "readings", "at least 1 item"),
        (lambda found: {"readings": found[:1] * 1001}, "readings", "at most 1000 items"),
        (lambda found: {"readings": _swap(found)}, "readings.1.time", "a time after"),
        (lambda found: {"readings": [found[0], found[0]]}, "readings.1.time", "a time after"),
        (lambda found: {"readings": [found[0] | {"time": "1"}]}, "readings.0.time", "number"),
        (lambda found: {"readings": [found[0] | {"time": None}]}, "readings.0.time", "number"),
        (lambda found: {"readings": [{"features": found[0]["features"]}]}, "readings.0.time", ""),
        (lambda _: {"readings": [{"time": 1}]}, "readings.0.features", ""),
        (lambda _: {"readings": [{"time": 1, "features": {"sensor_2": "x"}}]},
         "readings.0.features.sensor_2", "a number"),
        (lambda _: {"readings": {"time": 1}}, "readings", "array"),
        (lambda found: {"readings": found, "unit": "x" * 300}, "unit", ""),
    ],
)  # fmt: skip
def test_what_is_no_series_is_refused(
    client: httpx.Client, engine: pl.DataFrame, body: Any, field: str, words: str
) -> None:
    sent = {"request_id": 1} | body(_readings(engine.head(3)))
    answer = client.post("/predict", json=sent)
    assert answer.status_code == 422, answer.text
    faults = {
        fault["field"]: f"{fault['got']} {fault['allowed']}" for fault in answer.json()["errors"]
    }
    assert field in faults
    assert words in faults[field]


def test_a_key_that_stands_twice_in_a_reading_is_refused(
    client: httpx.Client, engine: pl.DataFrame
) -> None:
    (reading,) = _readings(engine.head(1))
    text = str(reading).replace("'", '"').replace('{"time": 1.0,', '{"time": 1.0, "time": 2.0,')
    body = f'{{"request_id": 1, "readings": [{text}]}}'
    answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "time"


@given(
    st.lists(st.sampled_from(_NAMES), max_size=3), st.integers(1, 4), st.text("ab: ", max_size=9)
)
def test_a_request_has_as_many_colons_as_keys_and_texts_have(
    names: list[str], count: int, unit: str
) -> None:
    """Then no key stands there twice, and nobody has to look."""
    text = ENGINES.read_text(encoding="utf-8").replace("title =", 'missing = "median"\ntitle =', 1)
    wanted = request_model(parse_spec(text.encode(), "engines.toml"))
    features = dict.fromkeys(names, 1.5)
    readings = [{"time": float(at), "features": features} for at in range(count)]
    series = json.dumps({"request_id": 1, "unit": f"x{unit}x", "readings": readings})
    assert colons_of(wanted.model_validate_json(series)) == series.count(":")
    one = json.dumps({"request_id": 1, "features": features})
    assert colons_of(wanted.model_validate_json(one)) == one.count(":")


def test_an_escaped_colon_hides_no_key_that_stands_twice(
    client: httpx.Client, engine: pl.DataFrame
) -> None:
    body = json.dumps({"request_id": 1, "unit": "a:b", "readings": _readings(engine.head(1))})
    twice = body.replace("a:b", r"a\u003ab").replace('"time"', '"time": 0, "time"')
    answer = client.post("/predict", content=twice)
    assert (answer.status_code, answer.json()["errors"][0]["reason"]) == (422, "repeated_key")


@pytest.mark.parametrize("rows", [1, 12, 45])
def test_a_series_is_answered_at_once_as_in_the_usual_way(
    client: httpx.Client, engine: pl.DataFrame, rows: int
) -> None:
    body = {"request_id": 1, "unit": "1", "readings": _readings(engine.head(rows))}
    at_once = client.post("/predict", json=body).json()
    usual = client.post("/predict", json=body, headers={"Content-Encoding": "identity"}).json()
    assert at_once == usual
    assert at_once["remaining_life"]["unit"] == "cycle"


def test_the_document_says_what_is_taken_and_its_example_is(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    schema = document["components"]["schemas"]["PredictRequest"]
    assert {*schema["properties"]} == {"request_id", "features", "unit", "readings"}
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert _predict(client, **body["example"])["rows_used"] >= 1


def test_a_bad_row_of_a_file_keeps_its_unit(client: httpx.Client, engine: pl.DataFrame) -> None:
    rows = engine.head(3).with_columns(
        cycle=pl.Series(["1", "?", "3"]), unit=pl.Series(["A", "B", "C"]), note=pl.lit("x")
    )
    answer = _of_file(client, rows)
    assert answer["unit"].to_list() == ["A", "B", "C"]
    assert answer["time"].to_list() == [1.0, None, 3.0]
    assert answer["reason"].to_list() == [None, "not_a_time", None]
    assert answer["note"].unique().to_list() == ["x"]


def test_many_units_of_a_file_have_their_own_histories(client: httpx.Client) -> None:
    units = engine_rows(3, seed=9)
    mixed = units.sort("cycle", maintain_order=True)
    answer = _of_file(client, mixed)
    whole = answer["score"].to_numpy()
    assert answer["unit"].cast(pl.String).to_list() == mixed["unit"].to_list()
    assert answer["time"].to_list() == mixed["cycle"].to_list()
    for unit in ("1", "2", "3"):
        alone = _of_file(client, units.filter(pl.col("unit") == unit))["score"].to_numpy()
        np.testing.assert_allclose(whole[(mixed["unit"] == unit).to_numpy()], alone, atol=1e-9)
