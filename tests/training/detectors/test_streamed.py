from typing import Any

import numpy as np
import pytest

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.datasets.splitting import Split, split_dataset
from presagio.training.detectors.features import FeatureSet, compute_features, feature_sets
from presagio.training.detectors.plans import DetectorPlan, Method, build_detector
from presagio.training.detectors.streamed import StreamedSVM

METHODS: tuple[Method, ...] = ("exact", "streamed")
RBF: dict[str, Any] = {"kernel": "rbf", "C": 100.0, "gamma": 0.5}
Features = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def split(spec: MachineSpec) -> Split:
    return split_dataset(generate_dataset(spec, 25_000, seed=11))


def _features(spec: MachineSpec, split: Split, features: FeatureSet) -> Features:
    """Return those of the training part and of the test part."""
    train, test = (
        compute_features(spec, part.inputs, features.columns) for part in (split.train, split.test)
    )
    return train, test


def _f1(alarm: np.ndarray, target: np.ndarray) -> float:
    return float(2 * (alarm & target).sum() / (alarm.sum() + target.sum()))


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
def test_it_learns_what_an_exact_one_learns(spec: MachineSpec, split: Split, kernel: str) -> None:
    mode = "osf" if kernel == "linear" else "hdf"
    parameters: dict[str, Any] = {"kernel": kernel, "C": 100.0, "gamma": 0.5}
    if kernel == "poly":
        parameters |= {"degree": 2, "coef0": 1.0}
    chosen = feature_sets(spec, mode)[0]
    train, test = _features(spec, split, chosen)
    found = {}
    for method in METHODS:
        detector = build_detector(DetectorPlan(mode, chosen, parameters, method))
        detector.fit(train, split.train.labels[mode])
        found[method] = _f1(detector.decision_function(test) >= 0.0, split.test.labels[mode])
    assert found["streamed"] > found["exact"] - 0.03
    assert found["streamed"] > 0.9


@pytest.mark.usefixtures("few_steps")
def test_the_same_rows_and_seed_give_the_same_one(spec: MachineSpec, split: Split) -> None:
    chosen = feature_sets(spec, "hdf")[0]
    train, test = _features(spec, split, chosen)
    first, second = (
        StreamedSVM(chosen.sharpness, **RBF).fit(train, split.train.labels["hdf"]) for _ in range(2)
    )
    np.testing.assert_array_equal(first.decision_function(test), second.decision_function(test))


@pytest.mark.usefixtures("few_steps")
def test_class_weights_make_more_alarms(spec: MachineSpec, split: Split) -> None:
    wear = feature_sets(spec, "twf")[0]
    train, test = _features(spec, split, wear)
    balanced: tuple[str | None, ...] = (None, "balanced")
    counts = [
        StreamedSVM(wear.sharpness, "rbf", 1.0, 0.5, class_weight=weight)
        .fit(train, split.train.labels["twf"])
        .predict(test)
        .sum()
        for weight in balanced
    ]
    assert counts[0] < counts[1]
