import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from presagio.errors import InvalidArtifactError
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset, read_labelled_csv
from presagio.training.export.parity import export_model
from presagio.training.search.grids import DEFAULT_GRID, GRIDS, Grid
from presagio.training.train import TrainedModel, train_model

SMALL: Grid = [{"kernel": ["rbf"], "C": [10.0], "gamma": [0.5]}]


def test_the_same_run_gives_the_same_card(spec: MachineSpec) -> None:
    cards = [train_model(generate_dataset(spec, 2000), spec, grid=SMALL).card for _ in range(2)]
    assert json.dumps(cards[0], sort_keys=True) == json.dumps(cards[1], sort_keys=True)


def test_the_card_names_the_grid_that_was_searched(spec: MachineSpec) -> None:
    model = train_model(generate_dataset(spec, 2000), spec, grid=GRIDS["small"])
    assert model.card["search"]["grid"] == "small"
    assert "--search small" in model.card["reproduce"]


def test_examples_of_both_kinds_are_recorded(artifact: Path) -> None:
    examples = json.loads((artifact / "manifest.json").read_bytes())["examples"]
    assert {example["label"] for example in examples} == {True, False}


def test_an_export_that_is_not_the_model_is_refused(trained: TrainedModel, tmp_path: Path) -> None:
    # One model's graph, with another's scores.
    other = train_model(trained.dataset, trained.spec, grid=SMALL, seed=3)
    shifted = trained.prediction.score + np.linspace(0, 1, 600)
    prediction = replace(trained.prediction, score=shifted)
    with pytest.raises(InvalidArtifactError):
        export_model(replace(other, prediction=prediction), tmp_path)


@pytest.mark.usefixtures("few_steps")
def test_many_rows_are_streamed_and_the_card_says_so(spec: MachineSpec, tmp_path: Path) -> None:
    model = train_model(generate_dataset(spec, 6000), spec, grid=SMALL, method="streamed")
    assert model.card["model"]["method"] == "streamed"
    assert model.card["data"]["train_rows"] == 4800
    assert model.card["cross_validation"] == {}
    # Compared with scikit-learn on 10,000 rows.
    export_model(model, tmp_path)


@pytest.mark.slow
def test_real_rows_come_near_the_limit_of_the_data(spec: MachineSpec, real_csv: Path) -> None:
    model = train_model(read_labelled_csv(real_csv, spec), spec, grid=DEFAULT_GRID)
    cross, test = model.evaluation.cross_validation, model.evaluation.test
    # The reference model: F1 0.241, average precision 0.347. The limit of the data: 0.92.
    assert cross["f1"].mean >= 0.87
    assert cross["average_precision"].mean >= 0.88
    assert cross["mcc"].mean >= 0.87
    assert test.f1 > 0.8
    assert model.evaluation.reference.f1 < 0.45
    modes = [model.evaluation.by_mode[name] for name in ("hdf", "pwf", "osf")]
    assert sum(mode.named for mode in modes) >= 0.95 * sum(mode.found for mode in modes)
