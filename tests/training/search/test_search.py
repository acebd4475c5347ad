import numpy as np
import pytest

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.datasets.splitting import FOLDS, Part, split_dataset
from presagio.training.search.grids import Grid
from presagio.training.search.search import learnable_modes, search
from presagio.training.train import TrainedModel

SMALL: Grid = [{"kernel": ["rbf"], "C": [10.0, 100.0], "gamma": [0.5]}]


@pytest.fixture(scope="module")
def part(spec: MachineSpec) -> Part:
    return split_dataset(generate_dataset(spec, 4000)).train


def test_progress_counts_every_fit(spec: MachineSpec, part: Part) -> None:
    seen: list[tuple[int, int]] = []
    search(spec, part, grid=SMALL, progress=lambda *counts: seen.append(counts))
    total = seen[0][1]
    assert seen == [(i, total) for i in range(1, total + 1)]


def test_only_candidates_that_came_through_all_folds_win(trained: TrainedModel) -> None:
    for shape in trained.result.shapes.values():
        for plan in shape.alarm.plans:
            (own,) = [c for c in trained.result.candidates if c.plan is plan]
            assert len(own.folds) == FOLDS


def test_modes_that_can_be_learned(spec: MachineSpec, part: Part) -> None:
    # Tool wear has too few; of what never is a failure of the machine, no number is enough.
    labels = {**part.labels, "rnf": ~part.target}
    assert learnable_modes(spec, labels) == ("hdf", "pwf", "osf")
    assert learnable_modes(spec, {"machine_failure": part.target}) == ()


def test_without_modes_there_is_one_detector(spec: MachineSpec, part: Part) -> None:
    bare = Part(part.inputs, {"machine_failure": part.target})
    result = search(spec, bare, grid=SMALL)
    assert result.shape == "single"
    assert [plan.label for plan in result.alarm.plans] == ["machine_failure"]


def test_a_spec_without_limits_is_searched_too(spec: MachineSpec, part: Part) -> None:
    bare = spec.model_copy(update={"rules": (), "quantities": (), "modes": ()})
    rows = Part(part.inputs, {"machine_failure": part.target})
    result = search(bare, rows, grid=SMALL)
    assert {c.plan.features.name for c in result.candidates} == {"raw"}


def test_the_threshold_is_the_cheapest(trained: TrainedModel) -> None:
    result = trained.result
    assert result.alarm.threshold_ == result.thresholds.cost


def test_a_higher_score_is_a_higher_probability(trained: TrainedModel) -> None:
    assert trained.result.alarm.calibration_[0] > 0


def test_the_same_seed_gives_the_same_choice(spec: MachineSpec, part: Part) -> None:
    first, second = (search(spec, part, grid=SMALL) for _ in range(2))
    assert first.thresholds == second.thresholds
    assert first.alarm.plans == second.alarm.plans
    np.testing.assert_array_equal(first.alarm.out_of_fold_, second.alarm.out_of_fold_)
