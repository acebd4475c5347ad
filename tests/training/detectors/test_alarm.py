import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from threadpoolctl import threadpool_info

from presagio.machine.spec import MachineSpec
from presagio.registry.versions import TRUSTED_TYPES
from presagio.training.datasets.sources import generate_dataset
from presagio.training.datasets.splitting import Part, make_folds, split_dataset
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.calibration import fit_sigmoid
from presagio.training.detectors.features import FeatureSet, compute_features, feature_sets
from presagio.training.detectors.plans import DetectorPlan, Method
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
    return FailureAlarm(spec, plans).fit(part.inputs, part.labels, folds=folds)


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
    target = rng.random(len(part)) < 0.3
    plan = DetectorPlan("machine_failure", feature_sets(spec)[-1], {"C": 1000.0, "gamma": 5.0})
    rows = Part(part.inputs, {"machine_failure": target})
    fitted = FailureAlarm(spec, (plan,)).fit(
        rows.inputs, rows.labels, folds=[make_folds(rows, None)]
    )
    features = compute_features(spec, rows.inputs, plan.features.columns)
    by_heart = fitted.detectors_[0].decision_function(features) >= 0.0
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


def test_a_frame_is_taken_by_the_names_of_its_columns(
    spec: MachineSpec, alarm: FailureAlarm, part: Part
) -> None:
    frame = pd.DataFrame(part.inputs, columns=[*spec.input_names])
    turned = frame[frame.columns[::-1]].assign(more=1.0)
    np.testing.assert_array_equal(
        alarm.decision_function(turned), alarm.decision_function(part.inputs)
    )


def test_scikit_learn_clones_it(alarm: FailureAlarm) -> None:
    again = clone(alarm)
    assert (again.spec, again.plans) == (alarm.spec, alarm.plans)
    assert not hasattr(again, "detectors_")


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("method", ["exact", "streamed"])
def test_a_stored_copy_predicts_the_same(spec: MachineSpec, part: Part, method: Method) -> None:
    features = feature_sets(spec, "hdf")[0]
    plan = DetectorPlan("hdf", features, {"kernel": "rbf", "C": 10.0, "gamma": 0.5}, method)
    alarm = FailureAlarm(spec, (plan,))
    alarm.fit(part.inputs, {"hdf": part.labels["hdf"]}, folds=[make_folds(part, None)])
    stored = skops.io.dumps(alarm)
    assert set(skops.io.get_untrusted_types(data=stored)) <= set(TRUSTED_TYPES)
    loaded = skops.io.loads(stored, trusted=[*TRUSTED_TYPES])
    assert loaded.spec.model_dump() == spec.model_dump()
    np.testing.assert_array_equal(
        loaded.predict_proba(part.inputs), alarm.predict_proba(part.inputs)
    )


def test_a_copy_of_an_earlier_presagio_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    # As they were stored: by the module that the estimator stood in then.
    file, old = tmp_path / "model.skops", "presagio.training.alarm"
    skops.io.dump(DetectorPlan("hdf", FeatureSet("raw", ("torque_nm",))), file)
    with zipfile.ZipFile(file) as archive:
        schema = archive.read("schema.json").decode()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", schema.replace(DetectorPlan.__module__, old))
    with pytest.raises(ImportError, match=r"registered with an earlier Presagio.*train anew"):
        skops.io.load(file, trusted=[f"{old}.DetectorPlan", *TRUSTED_TYPES])


def test_linear_algebra_takes_one_thread_in_each_fit() -> None:
    with one_thread_a_fit():
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
