"""How good a model is on rows that no choice has seen."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics

from presagio.machine.limits import category_values
from presagio.machine.spec import MachineSpec

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Strings = NDArray[np.str_]


@dataclass(frozen=True)
class Figures:
    """Figures of the failure class at the model's threshold, and over all thresholds.

    Accuracy is left out on purpose: never to warn is right 96.6 % of the time on the AI4I data.
    """

    precision: float
    recall: float
    f1: float
    mcc: float
    average_precision: float
    roc_auc: float
    brier: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    def as_metrics(self, prefix: str) -> dict[str, float]:
        """Return the figures under names such as ``test_f1``."""
        return {f"{prefix}_{name}": float(value) for name, value in asdict(self).items()}


def evaluate(target: Bools, score: Floats, probability: Floats, label: Bools) -> Figures:
    """Judge predictions; every array has shape ``(n,)``."""
    negatives, positives = metrics.confusion_matrix(target, label, labels=[False, True])
    return Figures(
        precision=float(metrics.precision_score(target, label, zero_division=0.0)),
        recall=float(metrics.recall_score(target, label, zero_division=0.0)),
        f1=float(metrics.f1_score(target, label, zero_division=0.0)),
        mcc=float(metrics.matthews_corrcoef(target, label)),
        average_precision=float(metrics.average_precision_score(target, score)),
        roc_auc=float(metrics.roc_auc_score(target, score)),
        brier=float(metrics.brier_score_loss(target, probability)),
        true_positives=int(positives[1]),
        false_positives=int(negatives[1]),
        false_negatives=int(positives[0]),
        true_negatives=int(negatives[0]),
    )


@dataclass(frozen=True)
class Interval:
    """A mean with what 95 % of resamples, or plus and minus two standard errors, make of it."""

    mean: float
    low: float
    high: float


_JUDGED = ("f1", "average_precision", "mcc", "precision", "recall")
_RESAMPLES = 1000


def bootstrap_intervals(
    target: Bools, score: Floats, probability: Floats, label: Bools, *, seed: int = 0
) -> dict[str, Interval]:
    """Say how far figures of one held-out part can be trusted: 95 % of its resamples.

    Resampled are failures and others apart, so that each resample has as many of them.
    """
    rng, kinds = np.random.default_rng(seed), (np.flatnonzero(target), np.flatnonzero(~target))
    found: dict[str, list[float]] = {name: [] for name in _JUDGED}
    for _ in range(_RESAMPLES):
        rows = np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])
        figures = evaluate(target[rows], score[rows], probability[rows], label[rows])
        for name in _JUDGED:
            found[name].append(getattr(figures, name))
    whole = evaluate(target, score, probability, label)
    return {
        name: Interval(getattr(whole, name), *map(float, np.percentile(values, (2.5, 97.5))))
        for name, values in found.items()
    }


def mean_intervals(figures: Sequence[Figures]) -> dict[str, Interval]:
    """Average figures of several judgements, with 95 % of where their mean lies.

    Folds of one division share training rows, so the interval is somewhat too narrow (Bengio and
    Grandvalet, 2004); the standard deviation over folds is what a single test part may show.
    """
    found = {}
    for name in _JUDGED:
        values = np.array([getattr(one, name) for one in figures])
        error = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        mean = float(values.mean())
        found[name] = Interval(mean, mean - float(error), mean + float(error))
    return found


def figures_by_category(
    spec: MachineSpec, inputs: pd.DataFrame, judge: Callable[[Bools], Figures]
) -> dict[str, Figures]:
    """Judge the rows of each value of each category apart, as ``type L``."""
    values = {name: inputs[name].to_numpy() for name in spec.indicator_names}
    parts = {
        f"{category.name} {value}": category_values(category, values) == value
        for category in spec.categories
        for value in category.values
    }
    return {name: judge(rows) for name, rows in parts.items() if rows.any()}


@dataclass(frozen=True)
class ModeFigures:
    """How failures of one mode are found.

    Attributes
    ----------
    failures, found
        How many there are, and for how many of them there was an alarm.
    named
        For how many of the found ones the alarm named a mode that they had.
    """

    failures: int
    found: int
    named: int


def figures_by_mode(labels: pd.DataFrame, alarm: Bools, named: Strings) -> dict[str, ModeFigures]:
    """Judge the failures of each mode apart.

    Parameters
    ----------
    labels
        ``n`` rows: the target first, then the failure modes.
    alarm
        Shape ``(n,)``.
    named
        The mode that the model names for each row, shape ``(n,)``.
    """
    failed = labels.iloc[:, 0].to_numpy(dtype=bool)
    modes = {name: labels[name].to_numpy(dtype=bool) & failed for name in labels.columns[1:]}
    right = np.zeros(len(labels), dtype=bool)
    for name, rows in modes.items():
        right |= rows & (named == name)
    return {
        name: ModeFigures(
            int(rows.sum()), int((rows & alarm).sum()), int((rows & alarm & right).sum())
        )
        for name, rows in modes.items()
    }
