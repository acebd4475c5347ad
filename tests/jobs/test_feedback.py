"""Outcomes come back, have a receipt, are learned from, and say how right alarms were."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from presagio.errors import DataError, NotFoundError
from presagio.ingest.filing import Intake, file_object
from presagio.jobs.feedback import Sent, alarm_metrics, send_feedback
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.writer import open_registry
from presagio.settings import Settings
from presagio.storage.receipt import Receipt
from presagio.training.datasets.curated import read_curated
from presagio.training.train import TrainedModel
from tests.champions import register_champion
from tests.serving.conftest import serve_app

pytestmark = pytest.mark.integration


@pytest.fixture
def rows(spec: MachineSpec) -> pl.DataFrame:
    ids = pl.Series("product_id", [f"P{i}" for i in range(1500)])
    return pl.concat(simulate(spec, 1500, seed=4)).with_columns(ids)


def _send(plant: Settings, plant_intake: Intake, path: Path, lot: int | None = None) -> Sent:
    return send_feedback(plant_intake, open_registry(plant), plant, path, receipt=lot)


def _file(plant_intake: Intake, key: str) -> Receipt:
    receipt = file_object(plant_intake, key)
    assert receipt is not None
    return receipt


def test_outcomes_with_what_was_said_are_counted_and_learned_from(
    plant: Settings, plant_intake: Intake, rows: pl.DataFrame, tmp_path: Path
) -> None:
    said = rows.with_columns(
        said_alarm=pl.col("hdf") | (pl.int_range(pl.len()) < 5), said_version=pl.lit("3")
    )
    path = tmp_path / "back.csv"
    said.write_csv(path)
    sent = _send(plant, plant_intake, path)
    assert (sent.outcomes, sent.failures) == (1500, rows["machine_failure"].sum())
    receipt = _file(plant_intake, sent.uploaded.key)
    assert receipt.outcome.rows_processed == 1500
    assert read_curated(plant_intake).receipts == (receipt.id,)
    (figures,) = alarm_metrics(plant_intake)
    assert figures.version == "3"
    assert figures.alarms == said["said_alarm"].sum()
    assert figures.right == (said["said_alarm"] & said["machine_failure"]).sum()
    assert figures.precision == figures.right / figures.alarms
    # The same outcomes once more are the same object: they have their receipt already.
    again = _send(plant, plant_intake, path)
    assert _file(plant_intake, again.uploaded.key).id == receipt.id


def test_outcomes_of_a_lot_name_readings_by_their_identifier(
    plant: Settings, plant_intake: Intake, spec: MachineSpec, rows: pl.DataFrame,
    trained: TrainedModel, tmp_path: Path,
) -> None:  # fmt: skip
    champion = register_champion(trained, open_registry(plant), tmp_path)
    unlabelled = rows.select("product_id", *spec.input_names).write_csv().encode()
    plant_intake.store.write(plant.s3_bucket, "incoming/lot.csv", unlabelled)
    lot = _file(plant_intake, "incoming/lot.csv")
    path = tmp_path / "outcomes.csv"
    rows.select("product_id", "machine_failure").sample(fraction=1.0, seed=1).write_csv(path)
    receipt = _file(plant_intake, _send(plant, plant_intake, path, lot.id).uploaded.key)
    assert receipt.outcome.rows_processed == 1500
    (figures,) = alarm_metrics(plant_intake)
    assert figures.version == champion.version
    assert figures.precision is not None
    assert figures.precision > 0.8
    # Modes are not known, so there is one detector for all.
    assert list(read_curated(plant_intake).labels) == ["machine_failure"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop("machine_failure"), "needs machine_failure"),
        (lambda rows: rows.with_columns(torque_nm=pl.lit("?")), "rows"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_sent(
    plant: Settings,
    plant_intake: Intake,
    rows: pl.DataFrame,
    tmp_path: Path,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    message: str,
) -> None:
    path = tmp_path / "bad.csv"
    change(rows).write_csv(path)
    with pytest.raises(Exception, match=message):
        _send(plant, plant_intake, path)
    assert list(plant_intake.store.list(plant.s3_bucket, "incoming/")) == []


def test_an_outcome_of_a_reading_that_is_not_in_the_lot_is_refused(
    plant: Settings, plant_intake: Intake, spec: MachineSpec, rows: pl.DataFrame, tmp_path: Path
) -> None:
    body = rows.select("product_id", *spec.input_names).write_csv().encode()
    plant_intake.store.write(plant.s3_bucket, "incoming/lot.csv", body)
    lot, path = _file(plant_intake, "incoming/lot.csv"), tmp_path / "outcomes.csv"
    path.write_text("Product ID,Machine failure\nP1,0\nX7,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"of 2 outcomes 1 have no reading .* \('X7',\)"):
        _send(plant, plant_intake, path, lot.id)
    with pytest.raises(NotFoundError, match="no receipt 999999"):
        _send(plant, plant_intake, path, 999_999)


def test_the_api_takes_outcomes(plant: Settings, plant_intake: Intake, spec: MachineSpec) -> None:
    outcomes = [
        {"request_id": 1, "features": spec.example, "failure": True, "mode": "hdf"},
        {"features": spec.example, "failure": False, "said_alarm": True, "said_version": "9"},
        {"features": spec.example, "failure": True},
    ]
    with serve_app(plant) as client:
        answer = client.post("/feedback", json={"outcomes": outcomes})
        assert answer.status_code == 202, answer.text
        unknown = [{"features": spec.example, "failure": True, "mode": "bad luck"}]
        refused = client.post("/feedback", json={"outcomes": unknown})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "outcomes.0.mode"
        assert client.post("/feedback", json={"outcomes": []}).status_code == 422
    # Failures of which nobody said which mode they were are a file of their own.
    receipts = [_file(plant_intake, key) for key in answer.json()["keys"]]
    assert [receipt.outcome.rows_processed for receipt in receipts] == [2, 1]
    figures = {one.version: one for one in alarm_metrics(plant_intake)}
    assert (figures["9"].alarms, figures["9"].right) == (1, 0)
    (fallback,) = [one for name, one in figures.items() if name != "9"]
    assert (fallback.outcomes, fallback.failures) == (2, 2)


def test_a_store_that_is_away_is_said_so(plant: Settings, spec: MachineSpec) -> None:
    away = plant.model_copy(update={"s3_endpoint": "http://127.0.0.1:9", "s3_timeout_s": 1.0})
    with serve_app(away) as client:
        body = {"outcomes": [{"features": spec.example, "failure": True}]}
        answer = client.post("/feedback", json=body)
    assert answer.status_code == 503
    assert "send it again later" in answer.json()["detail"]
