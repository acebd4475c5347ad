"""From files in the bucket to a version that the gate has decided on, as the DAGs do it."""

import json
from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.jobs.monitor import watch_drift
from presagio.lifecycle.exporter import LATEST, Exporter
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.orchestration import tasks
from presagio.registry.writer import open_registry
from presagio.settings import MONITORING, Settings
from presagio.storage.database import open_database
from presagio.storage.promotions import Promotions
from presagio.storage.receipt import Receipt
from tests.filing import file_body
from tests.serving.conftest import serve_app

pytestmark = pytest.mark.integration


def test_a_round_is_planned_filed_and_summed_up_below_the_prefixes_of_its_run(
    plant: Settings, plant_intake: Intake, spec: MachineSpec
) -> None:
    rows, bucket = pl.concat(simulate(spec, 200, seed=1)), plant.s3_bucket
    plant_intake.store.write(bucket, "in/a.csv", rows.write_csv().encode())
    params = {"bucket": bucket, "incoming": "in/", "processed": "out/", "curated_bucket": bucket}
    is_waiting, poll_s = tasks.look_for_files(bucket, "in/")
    assert (is_waiting(), poll_s) == (True, plant.watch_poll_s)
    assert tasks.begin_round(params, "run 1") == []
    assert not is_waiting()
    assert tasks.sum_up(params, "run 1")["rows_processed"] == 200
    assert plant_intake.store.head(bucket, "out/a.csv") is not None
    batch = {"keys": ["in/gone.csv"], "size_bytes": 1}
    assert tasks.file_batch(batch, params, "run 1")["files"] == 0


def test_differences_that_are_left_fail_the_task(plant: Settings, plant_intake: Intake) -> None:
    assert tasks.reconcile(deep=True, repair=True) == {"receipts": 0, "objects": 0}
    plant_intake.store.write(plant.s3_bucket, "processed/stranger.csv", b"x")
    with pytest.raises(DataError, match="1 differences"):
        tasks.reconcile(deep=False, repair=True)


@pytest.mark.slow
def test_new_rows_make_a_version_and_the_api_is_told(
    plant: Settings, plant_intake: Intake, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("PRESAGIO_TRAIN_SEARCH", "small")
    # Instead of 10,000 generated rows.
    pl.concat(simulate(spec, 2500, seed=4)).write_csv(tmp_path / "known.csv")
    monkeypatch.setenv("PRESAGIO_AI4I_CSV", str(tmp_path / "known.csv"))
    rows = pl.concat(simulate(spec, 2000, seed=3))
    receipt = file_body(plant_intake, "new.csv", rows.write_csv().encode())
    done = tasks.retrain("run 7")
    # There was no champion, so the gate lets the first one pass.
    assert (done["version"], done["decision"]) == ("1", "promotion")
    assert done["rows"] == 4_500
    promotions = Promotions(open_database(plant))
    (recorded,) = promotions.history(plant.model_name)
    promotions.close()
    assert (recorded.decision.who, recorded.decision.newest_receipt) == (
        "train_champion", receipt.id,
    )  # fmt: skip
    assert recorded.decision.why.startswith("run 7; ")
    # Nothing is new now.
    assert tasks.count_new_rows() == {"new_rows": 0, "wanted": 1000, "after": receipt.id}
    # The setting was heeded, and the card says so.
    assert "small grid" in done["summary"]
    # Somebody who opens MLflow reads the same as in Airflow's log.
    version = MlflowClient(plant.mlflow_url).get_model_version(plant.model_name, "1")
    assert (version.description or "").startswith(done["summary"])
    assert "**Version 1 is champion.** run 7; " in done["summary"]
    assert "4500 rows" in done["summary"]
    assert "unreachable" in tasks.announce_champion()
    _what_was_filed_is_scored(receipt)
    _the_api_reloads(plant)
    _drift_is_watched(plant, plant_intake, rows)


def _what_was_filed_is_scored(receipt: Receipt) -> None:
    with tasks.watched_arrivals() as (is_waiting, _):
        assert is_waiting()
        done = tasks.score_arrivals()
        assert (done["receipts"], done["rows"], done["waiting"]) == (1, 2000, 0)
        assert not is_waiting()
    assert receipt.outcome.rows_processed == done["rows"]


def _the_api_reloads(plant: Settings) -> None:
    with serve_app(plant.model_copy(update={"registry_poll_s": 3600.0})) as client:
        ready = client.post("/model/reload").raise_for_status().json()
        assert (ready["version"], ready["degraded"]) == ("1", False)
        described = client.get("/model").json()
        assert described["version"] == "1"
        assert described["card"]["data"]["rows"] == 4_500


def _drift_is_watched(plant: Settings, plant_intake: Intake, rows: pl.DataFrame) -> None:
    assert tasks.watch_drift()["drifted"] == []
    shifted = rows.with_columns(pl.col("torque_nm") + 9.0).select(plant_intake.spec.input_names)
    file_body(plant_intake, "worn belt.csv", shifted.write_csv().encode())
    found = watch_drift(plant, plant_intake, open_registry(plant))
    assert found.report is not None
    assert "torque_nm" in found.report.drifted
    assert found.alerted
    again = watch_drift(plant, plant_intake, open_registry(plant))
    assert not again.alerted
    page = plant_intake.store.read(plant.data_bucket, found.place or "")
    assert page is not None
    assert b"drift" in page[0].lower()
    latest = plant_intake.store.read(plant.data_bucket, MONITORING + LATEST)
    assert latest is not None
    numbers = json.loads(latest[0])
    assert numbers["columns"]["torque_nm"]["drifted"] == 1
    samples = _exported(plant, plant_intake)
    assert samples["presagio_drift_psi", "torque_nm"] > 0.2
    assert samples["presagio_drift_window_rows", ""] == found.report.window_rows
    client = MlflowClient(plant.mlflow_url)
    experiment = client.get_experiment_by_name(f"{plant.experiment}_monitoring")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert runs[0].data.metrics["psi_torque_nm"] > 0.2
    assert open_registry(plant).resolve().version == "1"


def test_without_a_champion_there_is_nothing_to_drift_from(plant: Settings) -> None:
    assert f"no version of {plant.model_name}" in tasks.watch_drift()["summary"]


def _exported(plant: Settings, plant_intake: Intake) -> dict[tuple[str, str], float]:
    """Return what Prometheus is told, by name and by the value of the first label."""
    promotions = Promotions(open_database(plant))
    try:
        exporter = Exporter(plant, plant_intake.ledger, promotions, plant_intake.store)
        samples = [sample for family in exporter.collect() for sample in family.samples]
    finally:
        promotions.close()
    return {
        (sample.name, next((v for k, v in sample.labels.items() if k != "fleet"), "")): sample.value
        for sample in samples
    }
