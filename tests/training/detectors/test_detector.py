"""Another estimator is one module: this one, which computes what the graph has nodes for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import onnxruntime as ort
from sklearn.linear_model import LogisticRegression

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.detector import (
    Bools,
    Decisions,
    Detector,
    FeatureRows,
    Floats,
    Precision,
)
from presagio.training.detectors.features import compute_features, feature_sets
from presagio.training.detectors.graph import Columns, Graph, Sum
from presagio.training.detectors.plans import DetectorPlan, build_detector
from presagio.training.export.onnx_graph import export_graph


@dataclass(frozen=True)
class LinearPart:
    columns: tuple[str, ...]
    weights: Floats
    intercept: float

    @classmethod
    def write(
        cls, graph: Graph, sources: Sequence[Columns], parts: Sequence[Self], precision: Precision
    ) -> Decisions:
        del precision
        sums = [Sum(dict(zip(p.columns, p.weights, strict=True))) for p in parts]
        matrix = sources[0].sums(graph, sums)
        return Decisions(
            [(matrix, np.eye(len(parts)))], np.array([part.intercept for part in parts])
        )


class LogisticDetector:
    def fit(self, features: FeatureRows, target: Bools) -> Self:
        self.model_ = LogisticRegression(max_iter=10_000).fit(features[:], target)
        return self

    def decision_function(self, features: FeatureRows) -> Floats:
        return np.asarray(self.model_.decision_function(features[:]))

    @property
    def size(self) -> int:
        return 0

    def graph_part(self, columns: tuple[str, ...]) -> LinearPart:
        return LinearPart(columns, self.model_.coef_[0], float(self.model_.intercept_[0]))


def test_detectors_of_several_kinds_make_one_alarm_and_one_graph(spec: MachineSpec) -> None:
    dataset = generate_dataset(spec, 4000, seed=7)
    raw = feature_sets(spec)[-1]
    plans = (
        DetectorPlan("hdf", raw),
        DetectorPlan("osf", feature_sets(spec, "osf")[0], {"C": 10.0, "gamma": 0.5}),
        DetectorPlan("pwf", raw),
    )
    detectors: list[Detector] = [LogisticDetector(), build_detector(plans[1]), LogisticDetector()]
    scores = []
    for plan, detector in zip(plans, detectors, strict=True):
        features = compute_features(spec, dataset.inputs, plan.features.columns)
        detector.fit(features, dataset.labels[plan.label])
        scores.append(detector.decision_function(features)[np.newaxis])
    alarm = FailureAlarm(spec, plans).combine(detectors, scores, dataset.labels)
    session = ort.InferenceSession(export_graph(spec, alarm))
    score, modes = session.run(("score", "modes"), {"inputs": np.asarray(dataset.inputs)})
    np.testing.assert_allclose(modes, alarm.log_odds(dataset.inputs), atol=1e-6)
    np.testing.assert_allclose(score, alarm.decision_function(dataset.inputs), atol=1e-6)
    assert alarm.support_vectors == detectors[1].size
