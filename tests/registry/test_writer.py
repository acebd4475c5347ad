import json
import re
import time
from pathlib import Path
from uuid import uuid4

import mlflow
import pytest
import skops.io
from mlflow import MlflowClient
from mlflow.entities import Run

from presagio.errors import NoChampionError, RegistryError
from presagio.inference.predictor import load_predictor
from presagio.registry.versions import DATA_TAG, TRUSTED_TYPES, RegisteredVersion
from presagio.registry.writer import Registry, open_registry
from presagio.settings import Settings
from presagio.training.export.registration import LOGGED_CANDIDATES, register_model
from presagio.training.train import TrainedModel
from tests.champions import register_champion
from tests.conftest import RunningServices, free_ports

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices) -> Settings:
    """Settings with a registered model and an experiment of their own."""
    name = uuid4().hex[:8]
    return services.settings.model_copy(
        update={"model_name": f"model_{name}", "experiment": f"experiment_{name}"}
    )


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return open_registry(settings)


@pytest.fixture
def client(settings: Settings) -> MlflowClient:
    return MlflowClient(settings.mlflow_url)


def test_a_training_is_logged_with_every_candidate(
    registry: Registry,
    client: MlflowClient,
    settings: Settings,
    trained: TrainedModel,
    tmp_path: Path,
) -> None:
    registered = register_model(trained, registry, tmp_path)
    run = client.get_run(registered.run_id)
    experiment = client.get_experiment_by_name(settings.experiment)
    assert experiment is not None
    nested = client.search_runs(
        [experiment.experiment_id], f"tags.mlflow.parentRunId = '{registered.run_id}'"
    )
    kinds = [n.data.tags["presagio.kind"] for n in nested]
    assert kinds.count("baseline") == 1
    assert len(nested) == 1 + LOGGED_CANDIDATES
    candidates = [n for n in nested if n.data.tags["presagio.kind"] == "candidate"]
    assert all("cv_average_precision" in n.data.metrics for n in candidates)
    metrics = trained.evaluation.test
    assert run.data.metrics["test_f1"] == pytest.approx(metrics.f1)
    assert run.data.metrics["test_true_negatives"] == metrics.true_negatives
    assert run.data.tags["presagio.data_sha256"] == trained.dataset.sha256
    assert run.data.tags["presagio.receipts"] == ""
    assert run.info.run_name == (
        f"{settings.model_name} 1: ai4i2020, {len(trained.dataset.target):,} rows, "
        f"{'one detector' if trained.result.shape == 'single' else 'a detector per failure mode'}"
        ", exact"
    )
    assert any(n.info.run_name.startswith("reference model, machine_failure by") for n in nested)
    assert all(" by " in n.info.run_name and "=" in n.info.run_name for n in candidates)
    _its_datasets_are_listed(trained, run)
    _its_pages_describe_it(client, trained, registered)
    names = ("precision_recall", "roc", "confusion_matrix", "reliability")
    assert {entry.path for entry in client.list_artifacts(registered.run_id, "report")} == {
        "report/card.html", "report/candidates.json", *(f"report/{name}.png" for name in names),
    }  # fmt: skip


def _its_datasets_are_listed(trained: TrainedModel, run: Run) -> None:
    used = {
        each.tags[0].value: (each.dataset, json.loads(each.dataset.profile or ""))
        for each in (run.inputs.dataset_inputs if run.inputs else [])
    }
    assert set(used) == {"training", "evaluation"}
    for dataset, profile in used.values():
        assert trained.dataset.sha256.startswith(dataset.digest)
        assert profile["sha256"] == trained.dataset.sha256
        columns = [column.name for column in mlflow.types.Schema.from_json(
            json.dumps(json.loads(dataset.schema or "")["mlflow_colspec"])
        )]  # fmt: skip
        assert columns[:5] == list(trained.spec.feature_names)
        # MLflow's own classes read the source.
        assert mlflow.data.get_source(dataset).to_json() == dataset.source
    rows = {context: profile["num_rows"] for context, (_, profile) in used.items()}
    assert rows == {"training": len(trained.split.train), "evaluation": len(trained.split.test)}


def _its_pages_describe_it(
    client: MlflowClient, trained: TrainedModel, registered: RegisteredVersion
) -> None:
    version = client.get_model_version(registered.name, registered.version)
    described = version.description or ""
    assert f"- Data: {trained.dataset.source}: {len(trained.dataset.target)} rows" in described
    assert f"f1 {trained.evaluation.test.f1:.3f}" in described
    (card,) = re.findall(r"\[model card\]\(#/(\S+)\)", described)
    assert card.endswith(
        f"/runs/{registered.run_id}/artifacts/report/card.html?workflowType=machine_learning"
    )
    run = client.get_run(registered.run_id)
    assert run.data.tags["mlflow.note.content"] == described
    model = client.get_registered_model(registered.name)
    assert model.description.startswith("Predicts failures of AI4I 2020 milling machine")
    # The model in MLflow has the metrics too, by the rows that they were measured on.
    (output,) = run.outputs.model_outputs if run.outputs else []
    logged = client.get_logged_model(output.model_id)
    measured = {metric.key: metric.dataset_name for metric in logged.metrics or ()}
    assert measured["test_f1"] == "ai4i2020, held-out test set"


def test_the_registered_copy_is_skops_with_signature_and_example(
    registry: Registry, client: MlflowClient, trained: TrainedModel, tmp_path: Path
) -> None:
    client.create_registered_model(registry.name, description="Ask Ana.")
    registered = register_model(trained, registry, tmp_path)
    # What a person has written about a model stays.
    assert client.get_registered_model(registry.name).description == "Ask Ana."
    version = client.get_model_version(registered.name, registered.version)
    folder = Path(
        mlflow.artifacts.download_artifacts(version.source, tracking_uri=client.tracking_uri)
    )
    (file,) = folder.glob("*.skops")
    # Nothing beyond what skops itself trusts is in it but what we allow.
    assert set(skops.io.get_untrusted_types(file=file)) <= set(TRUSTED_TYPES)
    alarm, rows = skops.io.load(file, trusted=list(TRUSTED_TYPES)), trained.split.test.inputs
    assert (alarm.predict(rows) == trained.result.alarm.predict(rows)).all()
    model = mlflow.models.Model.load(folder)
    assert [column.name for column in model.signature.inputs] == list(trained.spec.input_names)
    assert {str(column.type) for column in model.signature.inputs} == {"DataType.double"}
    assert model.saved_input_example_info is not None


def test_the_champion_is_resolved_fetched_and_served(
    registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    registered = register_champion(trained, registry, tmp_path / "files")
    assert registry.resolve("champion") == registered
    folder = registry.fetch(registered, tmp_path / "cache")
    assert registry.fetch(registered, tmp_path / "cache") == folder
    assert list((tmp_path / "cache").iterdir()) == [folder]
    load_predictor(folder, digest=registered.digest)


def test_a_challenger_is_no_champion(
    registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    registered = register_model(trained, registry, tmp_path)
    assert registry.resolve("challenger") == registered
    with pytest.raises(NoChampionError):
        registry.resolve("champion")


def test_versions_are_listed_with_aliases_and_figures(
    registry: Registry, trained: TrainedModel, tmp_path: Path
) -> None:
    assert registry.listing() == []
    first = register_champion(trained, registry, tmp_path / "1")
    second = register_model(trained, registry, tmp_path / "2")
    newest, oldest = registry.listing()
    assert (newest.version, newest.aliases) == (second, ("challenger",))
    assert (oldest.version, oldest.aliases) == (first, ("champion",))
    assert newest.metrics["test_f1"] == pytest.approx(trained.evaluation.test.f1)
    assert registry.version(first.version) == first
    assert registry.tags(first)[DATA_TAG] == trained.dataset.sha256


def test_a_version_that_is_not_there_is_an_error(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="version 77"):
        registry.version("77")


def test_no_model_at_all_is_no_champion(registry: Registry) -> None:
    with pytest.raises(NoChampionError, match="presagio train"):
        registry.resolve()


def test_an_alias_moves(registry: Registry, trained: TrainedModel, tmp_path: Path) -> None:
    first = register_champion(trained, registry, tmp_path / "1")
    second = register_champion(trained, registry, tmp_path / "2")
    assert registry.resolve() == second
    registry.assign("champion", first)
    assert registry.resolve() == first


def test_a_server_that_is_away_is_told_soon(settings: Settings) -> None:
    away = open_registry(settings.model_copy(update={"mlflow_url": free_ports().url("mlflow")}))
    began = time.monotonic()
    with pytest.raises(RegistryError, match="PRESAGIO_MLFLOW_URL"):
        away.resolve()
    assert time.monotonic() - began < 2 * settings.mlflow_timeout_s
