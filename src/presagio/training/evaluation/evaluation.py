"""How good a model is: on the held-out test set, and fold by fold."""

from dataclasses import dataclass

import numpy as np

from presagio.inference.alarm_modes import name_modes
from presagio.inference.imputation import input_columns
from presagio.inference.measures import total_cost
from presagio.inference.predictor import Prediction
from presagio.machine.limits import rows_by_category
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.splitting import Part, make_folds, repeats
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.features import compute_features
from presagio.training.evaluation.cross_validation import cross_validate
from presagio.training.evaluation.events import EventMetrics, evaluate_events
from presagio.training.evaluation.metrics import (
    Bools,
    Interval,
    Metrics,
    ModeMetrics,
    Strings,
    bootstrap_intervals,
    evaluate,
    mean_intervals,
    metrics_by_mode,
)
from presagio.training.search.halving import Progress
from presagio.training.search.parallel import one_thread_a_fit
from presagio.training.search.search import SearchResult

_PER = 1000
# How often the training part is divided into folds to evaluate the choice, where rows are few.
REPEATS = 2


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model.

    Attributes
    ----------
    test
        On the held-out part.
    test_intervals
        With 95 % of its resamples.
    cross_validation
        Mean metrics of repeated cross-validation on the training part, features and parameters
        as chosen, thresholds and calibration chosen anew for each fold. Empty for a streamed
        model: of so many rows the held-out part says more than folds would.
    cross_validation_sd
        Standard deviation over the folds.
    by_category, by_mode
        The held-out part taken apart.
    cost
        Expected cost of 1,000 readings, from the held-out part.
    reference, reference_cost
        The reference model on the same rows.
    always_negative_cost
        What the always-negative baseline would cost.
    events
        By failures instead of rows, on the held-out part; None of a label without a horizon.
    events_out_of_fold
        The same on the training part, each row by detectors that have not seen its unit.
    """

    test: Metrics
    test_intervals: dict[str, Interval]
    cross_validation: dict[str, Interval]
    cross_validation_sd: dict[str, float]
    by_category: dict[str, Metrics]
    by_mode: dict[str, ModeMetrics]
    cost: float
    reference: Metrics
    reference_cost: float
    always_negative_cost: float
    events: EventMetrics | None = None
    events_out_of_fold: EventMetrics | None = None


def predict(alarm: FailureAlarm, part: Part) -> Prediction:
    """Return what a trained model predicts for a part, by scikit-learn."""
    score = alarm.decision_function(part.inputs)
    return Prediction(score, alarm.probability(score), score >= alarm.threshold_)


def _named(spec: MachineSpec, alarm: FailureAlarm, part: Part) -> Strings:
    """Name the failure mode of each row as answers do, shape ``(n,)``; empty text for none."""
    labels = [plan.label for plan in alarm.plans]
    odds = dict(zip(labels, alarm.log_odds(part.inputs).T, strict=True))
    return np.array([name or "" for name in name_modes(spec, part.inputs, odds)])


def evaluate_model(
    spec: MachineSpec,
    train: Part,
    test: Part,
    result: SearchResult,
    prediction: Prediction,
    *,
    divided_by: str | None = None,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> Evaluation:
    """Evaluate what a search chose.

    Parameters
    ----------
    spec
        The machine spec, whose costs count.
    train, test
        The part that it was chosen and trained on, and the held-out test set.
    result
        The choice.
    prediction
        What it predicts for the test set.
    divided_by
        As in the search.
    seed
        Seed of folds and resamples.
    progress
        Called with (folds done, folds in all).
    """
    times = repeats(len(train), REPEATS) if result.method == "exact" else 0
    divisions = [make_folds(train, divided_by, seed=seed + 1000 + i) for i in range(times)]
    with one_thread_a_fit():
        folds = list(cross_validate(spec, train, result.alarm.plans, divisions, progress))
    # The reference model has no probability of its own; the sigmoid of its score stands for one.
    seen = compute_features(spec, test.inputs, result.reference_plan.features.columns)
    score = result.reference.decision_function(seen)
    reference = Prediction(score, 1.0 / (1.0 + np.exp(-score)), score >= 0.0)

    def measure(found: Prediction, rows: Bools | slice = slice(None)) -> Metrics:
        return evaluate(
            test.target[rows], found.score[rows], found.probability[rows], found.label[rows]
        )

    def cost(alarm: Bools) -> float:
        return _PER * total_cost(test.target, alarm, spec.costs) / len(test)

    intervals = mean_intervals(folds)
    categories = rows_by_category(spec, input_columns(spec, test.inputs))
    return Evaluation(
        test=measure(prediction),
        test_intervals=bootstrap_intervals(
            test.target, prediction.score, prediction.label, test.units, seed=seed
        ),
        cross_validation=intervals,
        cross_validation_sd={
            name: float(np.std([getattr(fold, name) for fold in folds])) for name in intervals
        },
        by_category={name: measure(prediction, rows) for name, rows in categories.items()},
        by_mode=metrics_by_mode(test.labels, prediction.label, _named(spec, result.alarm, test)),
        cost=cost(prediction.label),
        reference=measure(reference),
        reference_cost=cost(reference.label),
        always_negative_cost=cost(np.zeros(len(test), dtype=bool)),
        events=_events(spec, test, prediction.label),
        events_out_of_fold=_out_of_fold(spec, train, result.alarm),
    )


def _events(spec: MachineSpec, part: Part, label: Bools) -> EventMetrics | None:
    horizon = spec.label.horizon
    if part.series is None or horizon is None:
        return None
    return evaluate_events(part.series, label, spec.alarm, horizon=horizon, day=spec.day)


def _out_of_fold(spec: MachineSpec, train: Part, alarm: FailureAlarm) -> EventMetrics | None:
    label = alarm.out_of_fold_[0] >= alarm.threshold_
    if len(alarm.tested_) == len(train):
        return _events(spec, train, label)
    # Of many rows one fold is scored.
    return None if train.series is None else _events(spec, train.take(alarm.tested_), label)
