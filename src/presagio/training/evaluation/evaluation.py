"""What is known of how good a model is: on rows that no choice has seen, and fold by fold."""

from dataclasses import dataclass

import numpy as np

from presagio.inference.alarm_modes import name_modes
from presagio.inference.measures import total_cost
from presagio.inference.predictor import Prediction
from presagio.machine.limits import rows_by_category
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.splitting import Part, make_folds, repeats
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.evaluation.cross_validation import cross_validate
from presagio.training.evaluation.metrics import (
    Bools,
    Figures,
    Interval,
    ModeFigures,
    Strings,
    bootstrap_intervals,
    evaluate,
    figures_by_mode,
    mean_intervals,
)
from presagio.training.search.halving import Progress
from presagio.training.search.parallel import one_thread_a_fit
from presagio.training.search.search import SearchResult

_PER = 1000
# How often the training part is divided into folds to judge what was chosen, where rows are few.
JUDGED_REPEATS = 2


@dataclass(frozen=True)
class Judgement:
    """Figures of a model.

    Attributes
    ----------
    test
        On the held-out part.
    test_intervals
        With 95 % of its resamples.
    cross_validation
        Mean figures of repeated cross-validation on the training part, features and parameters
        as chosen, thresholds and calibration chosen anew for each fold. Empty for a streamed
        model: of so many rows the held-out part says more than folds would.
    cross_validation_sd
        Standard deviation over the folds.
    by_category, by_mode
        The held-out part taken apart.
    cost
        Expected cost of 1,000 readings, from the held-out part.
    baseline, baseline_cost
        The described model on the same rows.
    never_cost
        What never to warn would cost.
    """

    test: Figures
    test_intervals: dict[str, Interval]
    cross_validation: dict[str, Interval]
    cross_validation_sd: dict[str, float]
    by_category: dict[str, Figures]
    by_mode: dict[str, ModeFigures]
    cost: float
    baseline: Figures
    baseline_cost: float
    never_cost: float


def predict(alarm: FailureAlarm, part: Part) -> Prediction:
    """Return what a trained model says of a part, by scikit-learn."""
    score = alarm.decision_function(part.inputs)
    return Prediction(score, alarm.probability(score), score >= alarm.threshold_)


def _named(spec: MachineSpec, alarm: FailureAlarm, part: Part) -> Strings:
    """Name the failure mode of each row as answers do, shape ``(n,)``; empty text for none."""
    labels = [plan.label for plan in alarm.plans]
    odds = dict(zip(labels, alarm.log_odds(part.inputs).T, strict=True))
    rows = part.inputs[[*spec.input_names]].to_numpy(dtype=np.float64)
    return np.array([name or "" for name in name_modes(spec, rows, odds)])


def judge(
    spec: MachineSpec,
    train: Part,
    test: Part,
    result: SearchResult,
    *,
    divided_by: str | None = None,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> Judgement:
    """Judge what a search chose.

    Parameters
    ----------
    spec
        The machine spec, whose costs count.
    train, test
        The part that it was chosen and trained on, and the part that no choice has seen.
    result
        The choice.
    divided_by
        As in the search.
    seed
        Seed of folds and resamples.
    progress
        Called with (folds done, folds in all).
    """
    times = repeats(len(train), JUDGED_REPEATS) if result.method == "exact" else 0
    divisions = [make_folds(train, divided_by, seed=seed + 1000 + i) for i in range(times)]
    with one_thread_a_fit():
        folds = list(cross_validate(spec, train, result.alarm.plans, divisions, progress))
    said = predict(result.alarm, test)
    old = result.baseline.decision_function(test.inputs)
    described = old >= 0.0

    def figures(rows: Bools) -> Figures:
        return evaluate(
            test.target[rows], said.score[rows], said.probability[rows], said.label[rows]
        )

    columns = dict(zip(spec.input_names, test.inputs.to_numpy().T, strict=True))

    def cost(alarm: Bools) -> float:
        return _PER * total_cost(test.target, alarm, spec.costs) / len(test)

    intervals = mean_intervals(folds)
    return Judgement(
        evaluate(test.target, said.score, said.probability, said.label),
        bootstrap_intervals(test.target, said.score, said.label, seed=seed),
        intervals,
        {name: float(np.std([getattr(one, name) for one in folds])) for name in intervals},
        {name: figures(rows) for name, rows in rows_by_category(spec, columns).items()},
        figures_by_mode(test.labels, said.label, _named(spec, result.alarm, test)),
        cost(said.label),
        # It has no probability of its own; the sigmoid of its score stands for one.
        evaluate(test.target, old, 1.0 / (1.0 + np.exp(-old)), described),
        cost(described),
        cost(np.zeros(len(test), dtype=bool)),
    )
