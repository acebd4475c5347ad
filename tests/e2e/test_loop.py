"""CSV in the bucket → cleaned → trained → registered → served."""

import json
from pathlib import Path
from typing import Any

import httpx
import nbclient
import nbformat
import polars as pl
import pytest

from presagio.ingest.upload import upload, wait_for_receipt
from presagio.jobs.api_client import authorization
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.writer import open_registry
from tests.e2e.stack import TRAINED_ROWS, Stack, eventually
from tests.readings import HEADER

ROOT = Path(__file__).parents[2]


def test_a_dropped_file_is_filed_by_the_dag(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    good = pl.concat(simulate(spec, 200, seed=42)).write_csv()
    file = tmp_path / "with bad rows.csv"
    file.write_text(good + "1,2,3\n", encoding="utf-8")
    done = stack.call("ingest", file, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)["receipt"]
    assert (receipt["rows_in"], receipt["rows_processed"], receipt["rows_quarantined"]) == (
        201,
        200,
        1,
    )
    intake = stack.intake
    found = {
        name: intake.store.read("csv-data", receipt[f"{name}_key"])
        for name in ("processed", "quarantine", "archive")
    }
    assert found["archive"] is not None
    assert found["archive"][0] == file.read_bytes()
    assert found["processed"] is not None
    assert len(pl.read_csv(found["processed"][0])) == 200
    assert found["quarantine"] is not None
    assert b"ragged" in found["quarantine"][0]
    assert receipt["processed_key"] == "processed/with bad rows.csv"
    assert intake.store.head("csv-data", "incoming/with bad rows.csv") is None
    assert eventually(lambda: stack.run_state(receipt["run_id"]) == "success")


def test_a_file_that_cannot_be_read_leaves_the_run_green(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_bytes(b"\xff\xfe\x00half a character")
    receipt = json.loads(stack.call("ingest", file, "--wait", "--json").stdout)["receipt"]
    assert receipt["verdict"] == "quarantined"
    assert receipt["reasons"] == {"encoding": 1}
    assert eventually(lambda: stack.run_state(receipt["run_id"]) == "success")


def test_all_files_present_are_taken(stack: Stack, tmp_path: Path) -> None:
    files = []
    for i in range(12):
        files.append(tmp_path / f"part {i}.csv")
        files[-1].write_bytes(HEADER + b"\nL,300,310,1500,%d,10\n" % i)
    done = stack.call("ingest", *files, "--wait", "--json")
    receipts = [json.loads(line)["receipt"] for line in done.stdout.splitlines()]
    assert [receipt["rows_processed"] for receipt in receipts] == [1] * 12


@pytest.mark.nightly
def test_bucket_and_prefix_can_be_given_to_a_run(stack: Stack, tmp_path: Path) -> None:
    intake = stack.intake
    intake.store.create_bucket("other-plant")
    intake.store.write("other-plant", "drop/x.csv", HEADER + b"\nL,300,310,1500,40,10\n")
    conf = {"bucket": "other-plant", "incoming": "drop/", "processed": "done/"}
    with stack.airflow() as airflow:
        body: dict[str, Any] = {"logical_date": None, "conf": conf}
        run = airflow.post("/dags/csv_file_watcher/dagRuns", json=body).raise_for_status().json()
    # One run at a time: the one that waits for files has to find some first.
    file = tmp_path / "next.csv"
    file.write_bytes(HEADER + b"\nM,300,310,1500,40,11\n")
    upload(intake, file)
    assert eventually(lambda: intake.store.head("other-plant", "done/x.csv"))
    assert eventually(lambda: stack.run_state(run["dag_run_id"]) == "success")


def test_the_demonstration_walks_the_whole_loop(stack: Stack) -> None:
    before = stack.ready()
    done = stack.call("demo", "--part", "loop")
    assert done.returncode == 0, done.stdout + done.stderr
    after = stack.ready()
    assert after["source"] == "registry"
    assert int(after["version"]) > int(before["version"])
    assert f"version {after['version']} served" in done.stdout
    assert "high torque: failure expected" in done.stdout
    assert "healthy: no failure expected" in done.stdout
    if stack.ai4i_csv:
        filed = f"{TRAINED_ROWS + 2} rows in = {TRAINED_ROWS} processed + 2 quarantined"
        assert filed in done.stdout
    champion = open_registry(stack.settings).resolve()
    assert champion.version == after["version"]


def test_a_model_is_traced_to_its_receipts_judged_and_taken_back(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    file = tmp_path / "labelled.csv"
    file.write_text(pl.concat(simulate(spec, 3000, seed=77)).write_csv(), encoding="utf-8")
    receipt = wait_for_receipt(stack.intake, upload(stack.intake, file), timeout_s=120)
    assert receipt is not None
    registry, before = open_registry(stack.settings), stack.ready()["version"]
    done = stack.call("train", "--processed", "--json")
    assert done.returncode in {0, 7}, done.stderr
    trained = json.loads(done.stdout.splitlines()[-1])
    assert receipt.id in trained["card"]["data"]["receipts"]
    version = trained["registered"]["version"]
    run = MlflowClient(stack.settings.mlflow_url).get_run(trained["registered"]["run_id"])
    assert registry.version(version).run_id == run.info.run_id
    assert run.data.tags["presagio.newest_receipt"] == str(receipt.id)
    # The gate's decision is the one that counts.
    decision = trained["decision"]
    assert done.returncode == {"promotion": 0, "refusal": 7}[decision["kind"]]
    assert stack.decisions()[0] == decision
    assert (decision["previous"], decision["version"]) == (before, version)
    promoted = decision["kind"] == "promotion"
    champion, other = (version, before) if promoted else (before, version)
    assert registry.resolve().version == champion
    # Somebody overrules it, and takes that back.
    forced = stack.call("promote", other, "--force", "--why", "a drill", "--json")
    assert forced.returncode == 0, forced.stderr
    assert eventually(lambda: stack.ready()["version"] == other)
    back = stack.call("rollback", "--why", "it was a drill", "--json")
    assert json.loads(back.stdout)["version"] == champion
    assert eventually(lambda: stack.ready()["version"] == champion)
    listed = [json.loads(line) for line in stack.call("models", "--json").stdout.splitlines()]
    assert next(m for m in listed if "champion" in m["aliases"])["version"] == champion
    assert "it was a drill" in stack.call("models", "--history").stdout


@pytest.mark.nightly
def test_the_notebook_runs_from_top_to_bottom(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.own.items():
        monkeypatch.setenv(name, value)
    file = ROOT / "notebooks" / "experiment.ipynb"
    notebook = nbformat.reads(file.read_text(encoding="utf-8"), as_version=4)
    before = stack.decisions()
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": ROOT}}).execute()
    decided = stack.decisions()[0]
    assert len(stack.decisions()) == len(before) + 1
    assert decided["why"].startswith("notebook; ")
    answer = notebook.cells[-1].outputs[-1]["data"]["text/plain"]
    assert "'label'" in answer
    assert file.stat().st_size < 50_000


def test_the_contract_of_the_described_system(stack: Stack, spec: MachineSpec) -> None:
    settings = stack.settings
    assert set(httpx.get(settings.api_url).json()) == {"message"}
    body = {"request_id": 5, "features": spec.example}
    asked = authorization(settings, "predict")
    answer = httpx.post(f"{settings.api_url}/predict", json=body, headers=asked).json()
    assert (answer["response_id"], answer["label"]) == (5, True)
    assert answer["model"] == "svm_prod"
