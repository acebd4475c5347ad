"""How right labels and scores are, and what they cost; needs numpy only."""

import numpy as np
from numpy.typing import NDArray

from presagio.machine.costs import Costs

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

# A feature that tells the target, or the time, as well as this hardly does so by chance.
TOO_GOOD = 0.98


def f1_of(target: Bools, label: Bools, *, healthy_weight: float = 1.0) -> float:
    """Return the F1 of labels of shape ``(n,)``, 0 where there is neither failure nor alarm.

    Each row that is no failure counts as ``healthy_weight`` rows, where they are a sample.
    """
    right = int(np.sum(target & label))
    false = healthy_weight * int(np.sum(~target & label))
    either = int(target.sum()) + right + false
    return 2 * right / either if either else 0.0


def average_precision(target: Bools, score: Floats) -> float:
    """Return the average precision of scores, 0 where there is no failure.

    The sum of the precision at each distinct score, weighted by the recall that it adds, as
    ``sklearn.metrics.average_precision_score`` defines it.

    Parameters
    ----------
    target, score
        Both of shape ``(n,)``.
    """
    if not target.any():
        return 0.0
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    found = np.cumsum(target[order])[last]
    return float(np.sum(np.diff(found, prepend=0) / found[-1] * (found / (last + 1))))


def row_costs(target: Bools, alarm: Bools, costs: Costs) -> Floats:
    """Return what each prediction costs, shape ``(n,)``, in the spec's currency."""
    missed = np.where(target & ~alarm, costs.missed_failure, 0.0)
    false = np.where(~target & alarm, costs.false_alarm, 0.0)
    return missed + false + np.where(alarm, costs.inspection, 0.0)


def total_cost(target: Bools, alarm: Bools, costs: Costs) -> float:
    """Sum up what predictions of shape ``(n,)`` cost, in the spec's currency."""
    return float(row_costs(target, alarm, costs).sum())


def separation(values: Floats, target: Bools) -> float:
    """Say how well one column tells the target by itself: 0.5 not at all, 1 without a mistake.

    The area under the ROC curve, by ranks (Hanley and McNeil 1982, "The meaning and use of the area
    under a receiver operating characteristic curve"), whichever way it points.

    Parameters
    ----------
    values, target
        Both of shape ``(n,)``; without gaps.
    """
    ones, zeros = int(target.sum()), int((~target).sum())
    if not ones or not zeros:
        return 0.5
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    area = float(ranks[target].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return max(area, 1.0 - area)
