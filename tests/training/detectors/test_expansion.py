from dataclasses import replace

import numpy as np
import pytest

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.detectors.expansion import KernelExpansion
from presagio.training.detectors.features import compute_features, feature_sets
from presagio.training.detectors.plans import DetectorPlan, Method, build_detector

KERNELS = {
    "linear": {"kernel": "linear", "C": 1.0},
    "rbf": {"kernel": "rbf", "C": 10.0, "gamma": 0.3},
    "poly": {"kernel": "poly", "C": 1.0, "gamma": 0.2, "degree": 2, "coef0": 1.0},
}


def _kernel(expansion: KernelExpansion, rows: np.ndarray) -> np.ndarray:
    products = rows @ expansion.vectors.T
    if expansion.kernel == "linear":
        return products
    if expansion.kernel == "poly":
        return np.asarray((expansion.gamma * products + expansion.coef0) ** expansion.degree)
    away = np.sum((rows[:, None, :] - expansion.vectors) ** 2, axis=2)
    return np.asarray(np.exp(-expansion.gamma * away))


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("method", ["exact", "streamed"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_it_is_what_the_detector_computes(spec: MachineSpec, kernel: str, method: Method) -> None:
    dataset = generate_dataset(spec, 2000, seed=6)
    plan = DetectorPlan("machine_failure", feature_sets(spec)[0], KERNELS[kernel], method)
    columns = plan.features.columns
    features = compute_features(spec, dataset.inputs, columns)
    detector = build_detector(plan).fit(features, dataset.target)
    expansion = detector.graph_part(columns)
    assert isinstance(expansion, KernelExpansion)
    rows = expansion.scaling.transform(features)
    scores = _kernel(expansion, rows) @ expansion.weights + expansion.intercept
    np.testing.assert_allclose(scores, detector.decision_function(features), atol=1e-5)
    assert detector.size == (0 if kernel == "linear" else len(expansion.vectors))


def test_balanced_terms_are_the_same_terms_and_their_sum_stays_small() -> None:
    rng = np.random.default_rng(0)
    vectors, weights = rng.normal(size=(400, 3)), rng.uniform(0, 10, size=400)
    weights[:200] *= -1
    one = KernelExpansion((), None, "rbf", vectors, weights - weights.mean(), 0.0)
    other = one.balanced()
    order = np.lexsort(one.vectors.T), np.lexsort(other.vectors.T)
    np.testing.assert_array_equal(one.vectors[order[0]], other.vectors[order[1]])
    np.testing.assert_array_equal(one.weights[order[0]], other.weights[order[1]])
    running = [np.abs(np.cumsum(e.weights)).max() for e in (one, other)]
    assert running[1] < running[0] / 20
    assert replace(one, weights=np.ones(400)).balanced().weights.sum() == 400
