import numpy as np
import pytest

from presagio.machine.spec import MachineSpec
from presagio.training.dataset import generate_dataset, split_dataset
from presagio.training.search import DEFAULT_GRID, FOLDS, Grid, search
from presagio.training.train import TrainedModel

SMALL: Grid = [{"svc__kernel": ["linear"], "svc__C": [0.1, 1.0]}]


def test_the_described_grid_is_searched_too() -> None:
    assert {"svc__kernel": ["linear"], "svc__C": [0.01, 0.11, 10.0]} in DEFAULT_GRID


def test_progress_counts_every_fit(spec: MachineSpec) -> None:
    split, seen = split_dataset(generate_dataset(spec, 2000)), []
    search(spec, split.train, split.train_target, grid=SMALL, progress=lambda *a: seen.append(a))
    assert seen == [(i, 2 * FOLDS) for i in range(1, 2 * FOLDS + 1)]


def test_the_winner_has_the_best_average_precision(trained: TrainedModel) -> None:
    result = trained.result
    assert result.best.mean == max(candidate.mean for candidate in result.candidates)
    assert result.best.parameters["svc__C"] == result.pipeline["svc"].C
    assert all(np.mean(c.folds) == pytest.approx(c.mean) for c in result.candidates)


def test_the_winner_is_trained_on_the_whole_training_part(trained: TrainedModel) -> None:
    scaler = trained.result.pipeline["inputs"].named_transformers_["numbers"]
    assert scaler.n_samples_seen_ == len(trained.split.train)


def test_a_higher_score_is_a_higher_probability(trained: TrainedModel) -> None:
    assert trained.result.calibration.slope < 0


def test_the_same_seed_gives_the_same_choice(spec: MachineSpec) -> None:
    split = split_dataset(generate_dataset(spec, 2000))
    first, second = (search(spec, split.train, split.train_target, grid=SMALL) for _ in range(2))
    assert (first.threshold, first.calibration) == (second.threshold, second.calibration)
    assert [c.folds for c in first.candidates] == [c.folds for c in second.candidates]
