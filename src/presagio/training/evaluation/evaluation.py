"""What is known of how good a model is: on rows that no choice has seen, and fold by fold."""

from dataclasses import dataclass

import numpy as np

from presagio.inference.measures import total_cost
from presagio.inference.predictor import Prediction
from presagio.machine.limits import distances_of, rows_by_category, signed_distances
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


def name_modes(spec: MachineSpec, alarm: FailureAlarm, part: Part) -> Strings:
    """Name the failure mode of each row, shape ``(n,)``.

    The detector with the highest odds names its own; one detector for all names none, and the
    operating limit that is most broken, against how widely it varies, does.
    """
    labels = np.array([plan.label for plan in alarm.plans])
    if len(labels) > 1:
        named: Strings = labels[np.argmax(alarm.log_odds(part.inputs), axis=1)]
        return named
    distances = distances_of(spec)
    if not distances:
        return np.full(len(part), "")
    values = {name: part.inputs[name].to_numpy(dtype=np.float64) for name in spec.input_names}
    measured = signed_distances(spec, values)
    scaled = {name: found / max(float(np.std(found)), 1e-12) for name, found in measured.items()}
    modes, broken = [], []
    for rule in spec.rules:
        own = [d.name for d in distances if d.mode == rule.mode and d.bound in rule.bounds]
        modes.append(rule.mode)
        # A rule holds when all of its bounds do: the least broken one says how far it holds.
        broken.append(np.max([scaled[name] for name in own], axis=0))
    nearest: Strings = np.array(modes)[np.argmin(np.column_stack(broken), axis=1)]
    return nearest


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
        figures_by_mode(test.labels, said.label, name_modes(spec, result.alarm, test)),
        cost(said.label),
        # It has no probability of its own; the sigmoid of its score stands for one.
        evaluate(test.target, old, 1.0 / (1.0 + np.exp(-old)), described),
        cost(described),
        cost(np.zeros(len(test), dtype=bool)),
    )
