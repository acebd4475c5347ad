"""The serving artifact of a trained model, compared with scikit-learn before it counts."""

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import Example, write_artifact
from presagio.inference.predictor import Prediction, load_predictor, open_predictor
from presagio.training.detectors.detector import Precision
from presagio.training.detectors.features import compute_features
from presagio.training.evaluation.remaining import remaining_table
from presagio.training.export.onnx_graph import Precisions, export_graph
from presagio.training.train import TrainedModel

Floats = NDArray[np.float64]

_RECORDED_EXAMPLES = 10
_PARITY = 1e-3
# Tried in this order.
_PRECISIONS: tuple[Precision, ...] = ("single", "double")
# From so many vectors on single precision is worth its error, while that is well within parity.
_SINGLE_FROM = 100
_SINGLE_PARITY = 3e-4
_PARITY_ROWS = 10_000
_MOST_PARITY_ROWS = 100_000
_BACKGROUND_ROWS = 50


def _examples(inputs: Floats, prediction: Prediction, threshold: float) -> tuple[Example, ...]:
    clear = np.abs(prediction.score - threshold) > 10 * _PARITY
    chosen = [
        i for label in (True, False)
        for i in np.flatnonzero(clear & (prediction.label == label))[:_RECORDED_EXAMPLES]
    ]  # fmt: skip
    return tuple(
        Example(
            inputs=tuple(float(value) for value in inputs[i]),
            score=float(prediction.score[i]),
            probability=float(prediction.probability[i]),
            label=bool(prediction.label[i]),
        )
        for i in chosen
    )


def _parity_rows(model: TrainedModel) -> Floats:
    """Return the test part, and rows near to rows of the training part, at least 10,000 in all."""
    spec, split = model.spec, model.split
    test = split.test.inputs[:_MOST_PARITY_ROWS]
    rng = np.random.default_rng(model.seed)
    chosen = rng.integers(len(split.train), size=max(_PARITY_ROWS - len(test), 0))
    more = split.train.inputs[chosen]
    numbers = len(spec.feature_names)
    spread = 0.1 * test[:, :numbers].std(axis=0)
    low, high = np.array([feature.bounds for feature in spec.features]).T
    moved = more[:, :numbers] + rng.normal(size=(len(more), numbers)) * spread
    more[:, :numbers] = np.clip(moved, low, high)
    return np.concatenate([test, more])


def _background(model: TrainedModel) -> tuple[tuple[float, ...], ...]:
    """Draw rows of the training part, with which explanations compare a reading."""
    rows = model.split.train.inputs
    drawn = np.random.default_rng(model.seed).choice(
        len(rows), size=min(_BACKGROUND_ROWS, len(rows)), replace=False
    )
    return tuple(tuple(float(value) for value in row) for row in rows[np.sort(drawn)])


def _differences(
    model: TrainedModel, folder: Path, rows: Floats, expected: Floats
) -> tuple[float, int]:
    """Return the largest difference of a score, and how many labels differ for no such reason.

    Of the time left it is the difference as a share of the most that is told apart.
    """
    predictor = open_predictor(folder)
    threshold, repeated = model.result.alarm.threshold_, predictor.predict(rows)
    clear = np.abs(expected - threshold) > _PARITY
    flipped = int(np.sum(clear & (repeated.label != (expected >= threshold))))
    largest = float(np.max(np.abs(repeated.score - expected)))
    life, found = model.remaining, predictor.remaining_life(rows)
    if life is not None and found is not None:
        features = compute_features(model.spec, rows, life.features.columns)
        apart = np.abs(life.regression.predict(features) - found.value) / life.regression.most
        largest = max(largest, float(apart.max()))
    return largest, flipped


def _tried(model: TrainedModel) -> list[Precisions]:
    """Return in which precisions a graph is written, the fastest first."""
    life = model.remaining
    vectors = (
        model.result.alarm.support_vectors,
        0 if life is None else len(life.regression.svr_.support_vectors_),
    )
    kinds = [_PRECISIONS if many > _SINGLE_FROM else _PRECISIONS[1:] for many in vectors]
    return [Precisions(*each) for each in itertools.product(*kinds)]


def export_model(model: TrainedModel, folder: Path) -> str:
    """Write the serving artifact, and compare it with scikit-learn on at least 10,000 rows.

    A model of many vectors is written in single precision, unless that is off by too much.

    Returns
    -------
    str
        The artifact's digest.

    Raises
    ------
    InvalidArtifactError
        If a score differs by more than 0.001, or a label differs that is not within that of the
        threshold.
    """
    alarm, rows = model.result.alarm, _parity_rows(model)
    conditions = model.imputation.conditions
    expected = alarm.decision_function(rows)
    for precisions in _tried(model):
        digest = write_artifact(
            folder,
            graph=export_graph(model.spec, alarm, precisions=precisions, remaining=model.remaining),
            spec=model.spec,
            card=model.card,
            threshold=alarm.threshold_,
            modes=tuple(plan.label for plan in alarm.plans),
            examples=_examples(rows, model.prediction, alarm.threshold_),
            background=_background(model),
            medians=model.imputation.medians,
            conditions=None if conditions is None else conditions.table(),
            remaining=remaining_table(model.spec, model.remaining),
        )
        difference, flipped = _differences(model, folder, rows, expected)
        allowed = _SINGLE_PARITY if "single" in precisions else _PARITY
        if difference <= allowed and not flipped:
            load_predictor(folder, digest=digest)
            return digest
    raise InvalidArtifactError(
        f"the exported graph is not the trained model: scores differ by up to {difference:.2g} "
        f"(allowed {_PARITY}), {flipped} labels differ of {len(rows)} rows"
    )
