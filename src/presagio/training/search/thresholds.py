"""From which score on a reading is an alarm: what answers cost decides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.machine.costs import Costs

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

_RECALL = 0.8


@dataclass(frozen=True)
class Thresholds:
    """Scores from which on a reading is an alarm, each the best by one measure.

    Attributes
    ----------
    cost
        Lowest expected cost, among those that do not alarm oftener than can be inspected.
    f1
        Best F1.
    precision_at_recall
        Best precision among those with a recall of 0.8 or more.
    """

    cost: float
    f1: float
    precision_at_recall: float


@dataclass(frozen=True)
class _Cuts:
    """All ways to cut sorted scores in two, from no alarm at all to an alarm for every row."""

    scores: Floats
    true_alarms: NDArray[np.int64]
    alarms: NDArray[np.int64]

    def at(self, value: Floats) -> float:
        """Return the threshold where a value is lowest; in the middle where several are."""
        lowest = np.flatnonzero(value <= value.min())
        cut = int(lowest[len(lowest) // 2])
        # Halfway to the next lower score, so that rounding in the exported graph flips no label.
        if cut == 0:
            return float(np.nextafter(self.scores[0], np.inf))
        below = self.scores[cut] if cut < len(self.scores) else self.scores[-1] - 1.0
        return float((self.scores[cut - 1] + below) / 2)


def _cuts(target: Bools, score: Floats) -> _Cuts:
    order = np.argsort(-score, kind="stable")
    ranked, failures = score[order], target[order]
    # Rows with one score are cut together.
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], np.True_))
    true_alarms = np.concatenate(([0], np.cumsum(failures)[last]))
    return _Cuts(ranked[last], true_alarms, np.concatenate(([0], last + 1)))


def choose_thresholds(target: Bools, scores: Floats, costs: Costs) -> Thresholds:
    """Choose thresholds on out-of-fold scores.

    Parameters
    ----------
    target
        Shape ``(n,)``.
    scores
        Shape ``(repeats, n)``. Each threshold is the median of the repeats' best: the best of one
        division into folds hangs on a handful of rows.
    costs
        What answers cost.
    """
    found = np.array([_best(target, score, costs) for score in scores])
    cost, f1, precision = np.median(found, axis=0)
    return Thresholds(float(cost), float(f1), float(precision))


def _best(target: Bools, score: Floats, costs: Costs) -> tuple[float, float, float]:
    cuts, failures = _cuts(target, score), int(target.sum())
    true_alarms, alarms = cuts.true_alarms, cuts.alarms
    cost = (
        costs.missed_failure * (failures - true_alarms)
        + costs.false_alarm * (alarms - true_alarms)
        + costs.inspection * alarms
    )
    if costs.max_alarm_share is not None:
        cost = np.where(alarms <= costs.max_alarm_share * len(target), cost, np.inf)
    f1 = 2.0 * true_alarms / np.maximum(alarms + failures, 1)
    precision = true_alarms / np.maximum(alarms, 1)
    enough = true_alarms >= _RECALL * failures
    return cuts.at(cost), cuts.at(-f1), cuts.at(np.where(enough, -precision, 0.0))
