from typing import Any

import numpy as np
import pytest

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import generate_dataset
from presagio.training.datasets.splitting import Split, split_dataset
from presagio.training.detectors.alarm import DetectorPlan, Method, build_detector
from presagio.training.detectors.features import FeatureSet, build_features, feature_sets
from presagio.training.detectors.streamed import StreamedSVM

METHODS: tuple[Method, ...] = ("exact", "streamed")
RBF: dict[str, Any] = {"kernel": "rbf", "C": 100.0, "gamma": 0.5}


@pytest.fixture(scope="module")
def split(spec: MachineSpec) -> Split:
    return split_dataset(generate_dataset(spec, 25_000, seed=11))


@pytest.fixture(scope="module")
def features(spec: MachineSpec) -> FeatureSet:
    return feature_sets(spec, "hdf")[0]


def _machine(spec: MachineSpec, features: FeatureSet, **parameters: Any) -> StreamedSVM:
    return StreamedSVM(build_features(spec.model_dump_json(), features), **{**RBF, **parameters})


def _f1(said: np.ndarray, target: np.ndarray) -> float:
    return float(2 * (said & target).sum() / (said.sum() + target.sum()))


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
def test_it_learns_what_an_exact_machine_learns(
    spec: MachineSpec, split: Split, kernel: str
) -> None:
    mode = "osf" if kernel == "linear" else "hdf"
    parameters: dict[str, Any] = {"kernel": kernel, "C": 100.0, "gamma": 0.5}
    if kernel == "poly":
        parameters |= {"degree": 2, "coef0": 1.0}
    found = {}
    for method in METHODS:
        plan = DetectorPlan(mode, feature_sets(spec, mode)[0], parameters, method)
        detector = build_detector(spec.model_dump_json(), plan)
        detector.fit(split.train.inputs, split.train.labels[mode].to_numpy())
        said = detector.predict(split.test.inputs)
        found[method] = _f1(said, split.test.labels[mode].to_numpy())
    assert found["streamed"] > found["exact"] - 0.03
    assert found["streamed"] > 0.9


def test_the_same_rows_and_seed_give_the_same_machine(
    spec: MachineSpec, split: Split, features: FeatureSet
) -> None:
    target = split.train.labels["hdf"].to_numpy()
    first, second = (_machine(spec, features).fit(split.train.inputs, target) for _ in range(2))
    rows = split.test.inputs
    np.testing.assert_array_equal(first.decision_function(rows), second.decision_function(rows))


def test_some_rows_are_learned_from_without_a_copy_of_them(
    spec: MachineSpec, split: Split, features: FeatureSet
) -> None:
    target = split.train.labels["hdf"].to_numpy()
    some = np.arange(0, len(target), 2)
    by_position = _machine(spec, features).fit(split.train.inputs, target, some)
    alone = _machine(spec, features).fit(split.train.inputs.iloc[some], target[some])
    scores = by_position.decision_function(split.train.inputs, some)
    np.testing.assert_array_equal(scores, alone.decision_function(split.train.inputs.iloc[some]))


def test_class_weights_make_more_alarms(
    spec: MachineSpec, split: Split, features: FeatureSet
) -> None:
    target = split.train.labels["twf"].to_numpy()
    wear = feature_sets(spec, "twf")[0]
    counts = [
        _machine(spec, wear, C=1.0, class_weight=weight)
        .fit(split.train.inputs, target)
        .predict(split.test.inputs)
        .sum()
        for weight in (None, "balanced")
    ]
    assert counts[0] < counts[1]
    assert features.sharpness is not None
