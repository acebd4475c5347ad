"""Models in service: retrained on new rows, watched for drift, told what became of readings."""

import json
from pathlib import Path

import httpx
import polars as pl
import pytest

from presagio.ingest.upload import upload, wait_for_receipt
from presagio.jobs.api_client import authorization
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from tests.e2e.stack import Stack, eventually


def test_clean_data_start_the_dag_which_waits_for_enough_of_them(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    file = tmp_path / "few.csv"
    file.write_text(pl.concat(simulate(spec, 50, seed=901)).write_csv(), encoding="utf-8")
    assert wait_for_receipt(stack.intake, upload(stack.intake, file), timeout_s=120)

    def skipped() -> bool:
        with stack.airflow() as airflow:
            runs = airflow.get("/dags/train_champion/dagRuns").raise_for_status().json()
        started = [run for run in runs["dag_runs"] if run["run_type"] == "asset_triggered"]
        states = [stack.task_states("train_champion", run["dag_run_id"]) for run in started]
        return any(own.get("count_new_rows") == "skipped" for own in states)

    assert eventually(skipped, 120)


def test_new_rows_train_a_judged_challenger_and_the_api_is_told(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    file = tmp_path / "many.csv"
    file.write_text(pl.concat(simulate(spec, 2000, seed=902)).write_csv(), encoding="utf-8")
    receipt = wait_for_receipt(stack.intake, upload(stack.intake, file), timeout_s=120)
    assert receipt is not None
    filed = stack.xcom("csv_file_watcher", str(receipt.run_id), "announce", "summary")
    assert filed == "1 file filed: 2,000 rows taken, 0 set aside."
    run = stack.run_dag("train_champion", {"min_new_rows": 1})
    assert eventually(lambda: stack.ends("train_champion", run), 400)
    assert stack.task_states("train_champion", run) == {
        "count_new_rows": "success", "train_and_evaluate": "success", "tell_api": "success",
        "sum_up": "success",
    }  # fmt: skip
    # Whatever the gate decided, the run has not failed, and ends with what was trained and decided.
    assert stack.run_state(run, "train_champion") == "success"
    summary = stack.xcom("train_champion", run, "sum_up")
    assert "**Version " in summary
    assert "The API serves svm_prod version " in summary
    decision = next(d for d in stack.decisions() if d["who"] == "train_champion")
    assert decision["newest_receipt"] == receipt.id
    assert run in decision["why"]
    asked = authorization(stack.settings)
    served = httpx.get(f"{stack.settings.api_url}/model", headers=asked).json()
    assert served["version"] == stack.ready()["version"]
    assert set(served["card"]) >= {"data", "costs", "test", "limits", "reproduce"}
    # Nothing is new now.
    again = stack.run_dag("train_champion", {"min_new_rows": 1})
    assert eventually(lambda: stack.ends("train_champion", again), 120)
    assert stack.task_states("train_champion", again)["train_and_evaluate"] == "skipped"
    why = stack.xcom("train_champion", again, "count_new_rows", "summary")
    assert why == "Nothing was trained: 0 labelled rows new, 1 wanted."


# Of drives it is watched in test_fleets.py.
@pytest.mark.nightly
def test_drift_is_said_once_and_does_not_fail_the_run(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    rows = pl.concat(simulate(spec, 8000, seed=903)).select(spec.input_names)
    file = tmp_path / "worn belt.csv"
    rows.with_columns(pl.col("torque_nm") + 12.0).write_csv(file)
    assert wait_for_receipt(stack.intake, upload(stack.intake, file), timeout_s=120)
    run = stack.run_dag("monitor_drift")
    assert eventually(lambda: stack.ends("monitor_drift", run), 120)
    assert stack.run_state(run, "monitor_drift") == "success"
    said = stack.call("drift", "--json")
    assert said.returncode == 8, said.stderr
    found = json.loads(said.stdout)
    assert "torque_nm" in found["drifted"]
    # The DAG has sent the alert already.
    assert found["alerted"] is False
    assert found["metrics"]["psi_torque_nm"] > 0.2
    page = stack.intake.store.read("data", found["page"])
    assert page is not None
    assert b"Drift in" in page[0]


def test_outcomes_come_back_by_file_and_over_the_api(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    file = tmp_path / "outcomes.csv"
    pl.concat(simulate(spec, 1000, seed=904)).write_csv(file)
    done = stack.call("feedback", file, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    sent = json.loads(done.stdout)
    assert sent["receipt"]["rows_processed"] == sent["outcomes"] == 1000
    body = {"outcomes": [{"request_id": 7, "features": spec.example, "failure": True}]}
    asked = authorization(stack.settings, "feedback")
    answer = httpx.post(f"{stack.settings.api_url}/feedback", json=body, headers=asked, timeout=30)
    (key,) = answer.raise_for_status().json()["keys"]
    assert eventually(lambda: stack.intake.ledger.receipts(key=key))
    version = stack.ready()["version"]
    lines = stack.call("feedback", "--json").stdout.splitlines()
    found = {own["version"]: own for own in map(json.loads, lines)}
    assert found[version]["outcomes"] >= 1001
    assert found[version]["precision"] > 0.5
