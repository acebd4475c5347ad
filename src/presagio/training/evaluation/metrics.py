"""How good a model is on the held-out test set."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from presagio.inference.measures import f1_of
from presagio.training.datasets.dataset import Labels, target_of

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Strings = NDArray[np.str_]


@dataclass(frozen=True)
class Metrics:
    """Metrics of the failure class at the model's threshold, and over all thresholds.

    Accuracy is left out on purpose: the always-negative baseline has 96.6 % on the AI4I data.
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
        """Return them under names such as ``test_f1``."""
        return {f"{prefix}_{name}": float(value) for name, value in asdict(self).items()}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def evaluate(target: Bools, score: Floats, probability: Floats, label: Bools) -> Metrics:
    """Evaluate predictions; every array has shape ``(n,)``.

    What is not defined where there is no failure, or nothing else, is 0 (the area under the ROC
    curve 0.5), so that small groups of rows have metrics too.
    """
    found, missed = int(np.sum(target & label)), int(np.sum(target & ~label))
    false, healthy = int(np.sum(~target & label)), int(np.sum(~target & ~label))
    sides = (found + false) * (found + missed) * (healthy + false) * (healthy + missed)
    ordered = (
        (metrics.average_precision_score(target, score), metrics.roc_auc_score(target, score))
        if target.any() and not target.all()
        else (0.0, 0.5)
    )
    return Metrics(
        precision=_ratio(found, found + false),
        recall=_ratio(found, found + missed),
        f1=f1_of(target, label),
        mcc=_ratio(found * healthy - false * missed, float(sides) ** 0.5),
        average_precision=float(ordered[0]),
        roc_auc=float(ordered[1]),
        brier=float(np.mean((probability - target) ** 2)),
        true_positives=found,
        false_positives=false,
        false_negatives=missed,
        true_negatives=healthy,
    )


@dataclass(frozen=True)
class Interval:
    """A mean with what 95 % of resamples, or plus and minus two standard errors, make of it."""

    mean: float
    low: float
    high: float


_WITH_INTERVALS = ("f1", "average_precision", "mcc", "precision", "recall")
_RESAMPLES = 500
# By unit each resample goes through all rows: of more rows fewer are drawn.
_MANY_ROWS, _FEWEST_RESAMPLES = 100_000, 100


def _resampled(failures: Bools, healthy: NDArray[np.int64], drawn: Floats) -> Floats:
    """Return the metrics of one resample, in the order of ``_WITH_INTERVALS``.

    Parameters
    ----------
    failures
        Whether there was an alarm for each failure, the highest score first, shape ``(f,)``.
    healthy
        How many healthy rows stand before each failure, after all of them, and how many of all
        had an alarm: shape ``(f + 2,)``.
    drawn
        How often each failure was drawn, shape ``(f,)``.
    """
    count, alarms = float(drawn.sum()), float(healthy[-1])
    found, rest = float(drawn @ failures), float(healthy[:-1].sum())
    missed, quiet = count - found, rest - alarms
    ranked = np.cumsum(drawn)
    precision = ranked / np.maximum(ranked + np.cumsum(healthy[:-2]), 1.0)
    sides = (found + alarms) * (quiet + missed) * count * rest
    return np.array([
        _ratio(2 * found, 2 * found + alarms + missed),
        _ratio(float(drawn @ precision), count),
        _ratio(found * quiet - alarms * missed, sides**0.5),
        _ratio(found, found + alarms),
        _ratio(found, count),
    ])  # fmt: skip


def bootstrap_intervals(
    target: Bools, score: Floats, label: Bools, units: NDArray[Any] | None = None, *, seed: int = 0
) -> dict[str, Interval]:
    """Say how far metrics of one held-out part can be trusted: 95 % of its resamples.

    Resampled are failures and others apart, so that each resample has as many of them. All arrays
    have shape ``(n,)``. Of healthy rows it only counts between which failures they stand: that
    they are many costs nothing.

    Where rows are of units, these are resampled with all their rows: rows of one unit are alike,
    and by row the interval would be far too narrow (Davison and Hinkley, "Bootstrap Methods and
    their Application", 1997, section 3.8).
    """
    if units is not None:
        return _intervals_by_unit(target, score, label, units, seed)
    whole, rng = evaluate(target, score, score, label), np.random.default_rng(seed)
    order = np.argsort(-score, kind="stable")
    failed, alarm = target[order], label[order]
    # A healthy row's group: the failures before it, and whether there was an alarm for it.
    groups = 2 * np.cumsum(failed)[~failed] + alarm[~failed]
    counts = np.bincount(groups, minlength=2 * int(failed.sum()) + 2)
    resamples = []
    for _ in range(_RESAMPLES):
        drawn = rng.multinomial(failed.sum(), np.full(int(failed.sum()), 1 / failed.sum()))
        healthy = rng.multinomial(counts.sum(), counts / counts.sum())
        places = np.append(healthy[0::2] + healthy[1::2], healthy[1::2].sum())
        resamples.append(_resampled(alarm[failed], places, drawn.astype(np.float64)))
    low, high = np.percentile(resamples, (2.5, 97.5), axis=0)
    return {
        name: Interval(getattr(whole, name), float(low[i]), float(high[i]))
        for i, name in enumerate(_WITH_INTERVALS)
    }


def _intervals_by_unit(
    target: Bools, score: Floats, label: Bools, units: NDArray[Any], seed: int
) -> dict[str, Interval]:
    whole, rng = evaluate(target, score, score, label), np.random.default_rng(seed)
    order = np.argsort(-score, kind="stable")
    failed, alarm = target[order], label[order]
    names, codes = np.unique(units[order], return_inverse=True)
    count, resamples = len(names), []
    resampled = max(_RESAMPLES * _MANY_ROWS // max(len(target), _MANY_ROWS), _FEWEST_RESAMPLES)
    for _ in range(resampled):
        drawn = rng.multinomial(count, np.full(count, 1 / count))[codes].astype(np.float64)
        if not drawn @ failed:
            # Nothing is measured of a resample without a failure.
            continue
        resamples.append(_weighted(failed, alarm, drawn))
    low, high = np.percentile(resamples, (2.5, 97.5), axis=0)
    return {
        name: Interval(getattr(whole, name), float(low[i]), float(high[i]))
        for i, name in enumerate(_WITH_INTERVALS)
    }


def _weighted(failed: Bools, alarm: Bools, weights: Floats) -> Floats:
    """Return the metrics of weighted rows, the highest score first, as of ``_WITH_INTERVALS``."""
    ranked = np.cumsum(weights * failed)
    of_failures, of_all = ranked[-1], float(weights.sum())
    precision = ranked / np.maximum(np.cumsum(weights), 1.0)
    found, alarms = float(weights @ (failed & alarm)), float(weights @ alarm)
    false, missed = alarms - found, of_failures - found
    quiet = of_all - of_failures - false
    sides = alarms * of_failures * (quiet + missed) * (of_all - of_failures)
    return np.array([
        _ratio(2 * found, 2 * found + false + missed),
        _ratio(float((weights * failed) @ precision), of_failures),
        _ratio(found * quiet - false * missed, float(sides) ** 0.5),
        _ratio(found, alarms),
        _ratio(found, of_failures),
    ])  # fmt: skip


def mean_intervals(folds: Sequence[Metrics]) -> dict[str, Interval]:
    """Average the metrics of several folds, with 95 % of where their mean lies.

    Folds of one division share training rows, so the interval is somewhat too narrow (Bengio and
    Grandvalet, 2004); the standard deviation over folds is what a single test part may show.
    """
    found = {}
    for name in _WITH_INTERVALS if folds else ():
        values = np.array([getattr(fold, name) for fold in folds])
        error = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        mean = float(values.mean())
        found[name] = Interval(mean, mean - float(error), mean + float(error))
    return found


@dataclass(frozen=True)
class ModeMetrics:
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


def metrics_by_mode(labels: Labels, alarm: Bools, named: Strings) -> dict[str, ModeMetrics]:
    """Evaluate the failures of each mode apart.

    Parameters
    ----------
    labels
        Arrays of shape ``(n,)``: the target first, then the failure modes.
    alarm
        Shape ``(n,)``.
    named
        The mode that the model names for each row, shape ``(n,)``.
    """
    failed = target_of(labels)
    modes = {name: values & failed for name, values in [*labels.items()][1:]}
    right = np.zeros_like(failed)
    for name, rows in modes.items():
        right |= rows & (named == name)
    return {
        name: ModeMetrics(
            int(rows.sum()), int((rows & alarm).sum()), int((rows & alarm & right).sum())
        )
        for name, rows in modes.items()
    }
