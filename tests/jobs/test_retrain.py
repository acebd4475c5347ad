"""From files in the bucket to a judged version, as the DAG train_champion does it."""

import json
from collections.abc import Iterator

import polars as pl
import pytest
from mlflow import MlflowClient

from presagio.errors import DataError
from presagio.ingest.filing import Intake, file_object
from presagio.jobs.drift import watch_drift
from presagio.jobs.retrain import count_new_rows, retrain, tell_api
from presagio.jobs.sweep import open_intake
from presagio.lifecycle.exporter import LATEST, Exporter
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.writer import open_registry
from presagio.settings import Settings
from presagio.storage.database import open_database
from presagio.storage.promotions import Promotions
from presagio.storage.receipt import Receipt
from tests.serving.conftest import serve_app

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def intake(plant: Settings) -> Iterator[Intake]:
    intake = open_intake(plant)
    yield intake
    intake.ledger.close()


def _file(intake: Intake, name: str, frame: pl.DataFrame) -> Receipt:
    body = frame.write_csv().encode()
    intake.store.write(intake.prefixes.bucket, f"incoming/{name}", body)
    receipt = file_object(intake, f"incoming/{name}")
    assert receipt is not None
    return receipt


def test_only_labelled_rows_that_nothing_has_learned_from_count(
    intake: Intake, spec: MachineSpec
) -> None:
    assert count_new_rows() == {"new_rows": 0, "wanted": 1000, "after": 0}
    rows = pl.concat(simulate(spec, 1500, seed=2))
    _file(intake, "unlabelled.csv", rows.select(spec.input_names))
    # All rows are fewer than wanted: nothing was read to tell which of them are labelled.
    assert count_new_rows(at_least=2000)["new_rows"] == 1500
    assert count_new_rows()["new_rows"] == 0
    _file(intake, "labelled.csv", rows)
    assert count_new_rows()["new_rows"] == 1500


def test_a_quarantine_alarm_blocks_training(intake: Intake, spec: MachineSpec) -> None:
    broken = pl.concat(simulate(spec, 300)).with_columns(torque_nm=pl.lit("?"))
    receipt = _file(intake, "broken.csv", broken)
    assert receipt.outcome.verdict == "quarantined"
    for step in (count_new_rows, lambda: retrain(run_id="r1")):
        with pytest.raises(DataError, match=rf"receipt {receipt.id} .*ingest release"):
            step()


def test_new_rows_make_a_judged_version_and_the_api_is_told(
    plant: Settings, intake: Intake, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_TRAIN_SEARCH", "small")
    rows = pl.concat(simulate(spec, 2000, seed=3))
    receipt = _file(intake, "new.csv", rows)
    done = retrain(run_id="run 7")
    # There was no champion, so the gate lets the first one pass.
    assert (done["version"], done["decision"]) == ("1", "promotion")
    assert done["rows"] == 12_000
    promotions = Promotions(open_database(plant))
    (recorded,) = promotions.history(plant.model_name)
    promotions.close()
    assert (recorded.decision.who, recorded.decision.newest_receipt) == (
        "train_champion", receipt.id,
    )  # fmt: skip
    assert recorded.decision.why.startswith("run 7; ")
    # Nothing is new now.
    assert count_new_rows() == {"new_rows": 0, "wanted": 1000, "after": receipt.id}
    # The setting was heeded, and the card says so.
    assert "small grid" in done["summary"]
    # Somebody who opens MLflow reads the same as in Airflow's log.
    version = MlflowClient(plant.mlflow_url).get_model_version(plant.model_name, "1")
    assert version.description == done["summary"]
    assert "12000 rows" in done["summary"]
    assert "unreachable" in tell_api()
    _the_api_reloads(plant)
    _drift_is_watched(plant, intake, rows)


def _the_api_reloads(plant: Settings) -> None:
    with serve_app(plant.model_copy(update={"registry_poll_s": 3600.0})) as client:
        ready = client.post("/model/reload").raise_for_status().json()
        assert (ready["version"], ready["degraded"]) == ("1", False)
        described = client.get("/model").json()
        assert described["version"] == "1"
        assert described["card"]["data"]["rows"] == 12_000


def _drift_is_watched(plant: Settings, intake: Intake, rows: pl.DataFrame) -> None:
    calm = watch_drift()
    assert calm.report is not None
    assert (calm.report.drifted, calm.alerted) == ((), False)
    shifted = rows.with_columns(pl.col("torque_nm") + 9.0).select(intake.spec.input_names)
    _file(intake, "worn belt.csv", shifted)
    found = watch_drift()
    assert found.report is not None
    assert "torque_nm" in found.report.drifted
    assert found.alerted
    assert not watch_drift().alerted
    page = intake.store.read(plant.data_bucket, found.place or "")
    assert page is not None
    assert b"drift" in page[0].lower()
    latest = intake.store.read(plant.data_bucket, LATEST)
    assert latest is not None
    said = json.loads(latest[0])
    assert said["columns"]["torque_nm"]["drifted"] == 1
    told = _exported(plant, intake)
    assert told["presagio_drift_psi", "torque_nm"] > 0.2
    assert told["presagio_drift_window_rows", ""] == found.report.window_rows
    client = MlflowClient(plant.mlflow_url)
    experiment = client.get_experiment_by_name(f"{plant.experiment}_monitoring")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert runs[0].data.metrics["psi_torque_nm"] > 0.2
    assert open_registry(plant).resolve().version == "1"


def test_without_a_champion_there_is_nothing_to_drift_from(plant: Settings) -> None:
    assert f"no version of {plant.model_name}" in watch_drift(plant).summary


def _exported(plant: Settings, intake: Intake) -> dict[tuple[str, str], float]:
    """Return what Prometheus is told, by name and by the value of the first label."""
    promotions = Promotions(open_database(plant))
    try:
        exporter = Exporter(plant, intake.ledger, promotions, intake.store)
        samples = [sample for family in exporter.collect() for sample in family.samples]
    finally:
        promotions.close()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples
    }
