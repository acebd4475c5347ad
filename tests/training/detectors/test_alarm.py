import numpy as np
import pytest
from threadpoolctl import threadpool_info

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import generate_dataset
from presagio.training.datasets.splitting import Part, make_folds, split_dataset
from presagio.training.detectors.alarm import (
    DetectorPlan,
    FailureAlarm,
    build_detector,
    decide,
    fit_detector,
)
from presagio.training.detectors.calibration import fit_sigmoid
from presagio.training.detectors.features import FeatureSet, FeatureTable, feature_sets
from presagio.training.search.parallel import one_thread_a_fit


@pytest.fixture(scope="module")
def part(spec: MachineSpec) -> Part:
    return split_dataset(generate_dataset(spec, 4000, seed=3)).train


def _limits(spec: MachineSpec, mode: str) -> FeatureSet:
    return next(found for found in feature_sets(spec, mode) if found.name == "limits")


@pytest.fixture(scope="module")
def alarm(spec: MachineSpec, part: Part) -> FailureAlarm:
    rbf = {"kernel": "rbf", "C": 100.0, "gamma": 2.0}
    plans = tuple(DetectorPlan(mode, _limits(spec, mode), rbf) for mode in ("hdf", "pwf", "osf"))
    weak = {"C": 1.0, "gamma": 0.5, "class_weight": "balanced"}
    plans += (DetectorPlan("twf", _limits(spec, "twf"), weak),)
    folds = [make_folds(part, None, seed=seed) for seed in range(2)]
    return FailureAlarm(spec.model_dump_json(), plans).fit(part.inputs, part.labels, folds=folds)


def test_the_score_is_the_sum_of_the_odds(alarm: FailureAlarm, part: Part) -> None:
    odds = np.exp(alarm.log_odds(part.inputs))
    np.testing.assert_allclose(np.exp(alarm.decision_function(part.inputs)), odds.sum(axis=1))


def test_detectors_that_tell_their_mode_keep_their_boundary(alarm: FailureAlarm) -> None:
    assert alarm.offsets_[:3].tolist() == [0.0, 0.0, 0.0]
    # Tool wear only ranks: its sigmoid is kept whole, and says that it is seldom right.
    assert alarm.offsets_[3] < 0.0


def test_probabilities_follow_scores(alarm: FailureAlarm, part: Part) -> None:
    score = alarm.decision_function(part.inputs)
    probability = alarm.predict_proba(part.inputs)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    order = np.argsort(score)
    assert (np.diff(probability[order, 1]) >= 0).all()


def test_out_of_fold_scores_are_by_models_that_have_not_seen_the_row(
    spec: MachineSpec, part: Part
) -> None:
    # Noise for a label: what has been learned by heart tells nothing of rows not seen.
    rng = np.random.default_rng(0)
    noise = part.labels.assign(machine_failure=rng.random(len(part)) < 0.3)
    plan = DetectorPlan("machine_failure", feature_sets(spec)[-1], {"C": 1000.0, "gamma": 5.0})
    rows = Part(part.inputs, noise[["machine_failure"]], noise["machine_failure"].to_numpy(), None)
    fitted = FailureAlarm(spec.model_dump_json(), (plan,)).fit(
        rows.inputs, rows.labels, folds=[make_folds(rows, None)]
    )
    target = rows.target
    by_heart = fitted.detectors_[0].predict(rows.inputs)
    assert (by_heart == target).mean() > 0.95
    unseen = fitted.out_of_fold_[0]
    assert abs(np.corrcoef(unseen, target)[0, 1]) < 0.1


def test_a_sigmoid_makes_log_odds() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    target = rng.random(20_000) < 1 / (1 + np.exp(-(2.0 * score - 1.0)))
    slope, offset = fit_sigmoid(score, target)
    assert slope == pytest.approx(2.0, abs=0.1)
    assert offset == pytest.approx(-1.0, abs=0.1)


def test_a_detector_is_the_same_from_computed_features(spec: MachineSpec, part: Part) -> None:
    text, rows = spec.model_dump_json(), np.arange(0, len(part), 3)
    table = FeatureTable(text, part.inputs)
    for features in feature_sets(spec):
        plan = DetectorPlan("machine_failure", features, {"C": 10.0, "gamma": 0.5})
        computed = fit_detector(table, plan, part.target, rows)
        whole = build_detector(text, plan).fit(part.inputs.iloc[rows], part.target[rows])
        expected = whole.decision_function(part.inputs)
        np.testing.assert_array_equal(computed.decision_function(part.inputs), expected)
        everything = decide(computed, table, plan, slice(None))
        np.testing.assert_array_equal(everything, expected)


def test_linear_algebra_takes_one_thread_in_each_fit() -> None:
    with one_thread_a_fit():
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
