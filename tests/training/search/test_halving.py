import numpy as np
import pytest

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.datasets.splitting import FOLDS, Part, make_folds, split_dataset
from presagio.training.detectors.features import FeatureTable, feature_sets
from presagio.training.detectors.plans import DetectorPlan
from presagio.training.search.halving import (
    Counter,
    FoldScore,
    Trial,
    first_rows,
    in_order,
    rounds,
    successive_halving,
)


@pytest.fixture(scope="module")
def part(spec: MachineSpec) -> Part:
    return split_dataset(generate_dataset(spec, 6000, seed=2)).train


def _plans(spec: MachineSpec, *costs: float) -> list[DetectorPlan]:
    return [
        DetectorPlan("machine_failure", features, {"kernel": "linear", "C": cost})
        for features in feature_sets(spec)
        for cost in costs
    ]


def test_fewer_candidates_see_each_fold() -> None:
    assert rounds(96) == [24, 6, 4, 4, 4]
    assert rounds(3) == [3, 3, 3, 3, 3]
    assert rounds(3, folds=1, finalists=1) == [1]


def test_of_equals_one_of_each_set_of_features_goes_on(spec: MachineSpec) -> None:
    flawless, flawed = FoldScore(1.0, 1.0), FoldScore(1.0, 0.98)
    sets = feature_sets(spec, "hdf")
    trials = [
        Trial(DetectorPlan("hdf", features, {"C": cost}), look=[flawless])
        for features in sets
        for cost in (0.1, 1.0, 10.0)
    ]
    worse = Trial(DetectorPlan("hdf", sets[0], {"C": 0.01}), look=[flawed])
    ordered = in_order([worse, *trials])
    for nth in range(3):
        four = ordered[4 * nth : 4 * nth + 4]
        assert {trial.plan.features.name for trial in four} == {features.name for features in sets}
    assert ordered[-1] is worse


def test_every_candidate_is_looked_at_and_the_finalists_see_all_folds(
    spec: MachineSpec, part: Part
) -> None:
    plans, seen = _plans(spec, 0.1, 1.0), list[tuple[int, int]]()
    table = FeatureTable(spec, part.inputs)
    fits = len(plans) + sum(rounds(len(plans)))
    counter = Counter(fits, lambda *counts: seen.append(counts))
    found = successive_halving(table, plans, part.target, make_folds(part, None), counter)
    assert {id(candidate.plan) for candidate in found} == {id(plan) for plan in plans}
    assert seen[-1] == (fits, fits)
    finalists = [candidate for candidate in found if len(candidate.folds) == FOLDS]
    assert len(finalists) == 4
    assert found[0] in finalists
    # Who went out at the first look has that look's score only.
    assert all(len(candidate.folds) == 1 for candidate in found if candidate not in finalists)


def test_the_first_look_learns_from_few_rows_with_enough_failures(part: Part) -> None:
    (train, _), *_rest = make_folds(part, None)
    rows = first_rows(part.target, train, 0)
    assert int(part.target[rows].sum()) == 40
    assert part.target[rows].mean() == pytest.approx(part.target[train].mean(), rel=0.02)
    assert set(rows) < set(train)
    # With fewer failures than that, nothing is left out.
    rare = part.target & (np.arange(len(part)) % 8 == 0)
    np.testing.assert_array_equal(first_rows(rare, train, 0), train)


def test_candidates_are_ranked_as_on_all_rows(spec: MachineSpec, part: Part) -> None:
    table, plan = FeatureTable(spec, part.inputs), _plans(spec, 1.0)[0]
    (train, test), *_ = make_folds(part, None)
    found: dict[float, FoldScore] = {}
    for weight in (1.0, 50.0):
        scores: list[FoldScore] = []
        Trial(plan).run(scores, table, part.target, train, test, weight)
        (found[weight],) = scores
    # A false alarm counts fifty times.
    assert found[50.0].average_precision < found[1.0].average_precision
    assert found[50.0].f1 < found[1.0].f1
