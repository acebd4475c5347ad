"""The shape of a model: one detector per failure mode, or one for all; which is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from presagio.inference.measures import f1_of, row_costs
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.splitting import FOLDS, Folds, Part
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.plans import DetectorPlan
from presagio.training.search.thresholds import Thresholds, choose_thresholds

Floats = NDArray[np.float64]
Shape = Literal["per_mode", "single"]

_PER = 1000
# A difference of fewer standard errors over the folds is none. At one, chance chose one detector
# for all with one seed of three: equally cheap on rows kept aside, and worse at ranking them.
_ERRORS = 2.0


@dataclass(frozen=True)
class ShapeMetrics:
    """How one shape of model does on out-of-fold scores.

    Attributes
    ----------
    thresholds
        The best by each measure.
    costs
        Expected cost of 1,000 readings, fold by fold.
    precisions
        Average precision, fold by fold.
    f1
        Mean over the folds.
    """

    alarm: FailureAlarm
    thresholds: Thresholds
    costs: tuple[float, ...]
    precisions: tuple[float, ...]
    f1: float

    @property
    def average_precision(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.precisions))


def train_shape(
    spec: MachineSpec, plans: tuple[DetectorPlan, ...], part: Part, divisions: Sequence[Folds]
) -> ShapeMetrics:
    """Train a model, choose its threshold by cost, and evaluate it on out-of-fold scores."""
    alarm = FailureAlarm(spec, plans)
    alarm.fit(part.inputs, part.labels, folds=divisions)
    thresholds = choose_thresholds(part.target[alarm.tested_], alarm.out_of_fold_, spec.costs)
    alarm.threshold_ = thresholds.cost
    costs, precisions, f1 = [], [], []
    for scores, division in zip(alarm.out_of_fold_, divisions, strict=True):
        for _, test in division:
            target, score = part.target[test], scores[np.searchsorted(alarm.tested_, test)]
            label = score >= thresholds.cost
            costs.append(_PER * float(row_costs(target, label, spec.costs).mean()))
            precisions.append(float(average_precision_score(target, score)))
            f1.append(f1_of(target, label))
    return ShapeMetrics(alarm, thresholds, tuple(costs), tuple(precisions), float(np.mean(f1)))


def _clear(differences: Floats) -> float:
    """Return the mean of differences fold by fold; 0 within two standard errors of 0.

    Folds of several divisions of the same rows are not independent: they count as one division's.
    """
    mean, error = float(differences.mean()), float(differences.std()) / np.sqrt(FOLDS)
    return mean if abs(mean) > _ERRORS * error else 0.0


def choose_shape(shapes: Mapping[Shape, ShapeMetrics]) -> Shape:
    """Choose the cheaper shape; where costs are nearly the same, the one that ranks better.

    Both are compared fold by fold, and a difference within two standard errors is none.
    Where neither cost nor average precision tells, one detector per mode names the cause.
    """
    if "per_mode" not in shapes:
        return "single"
    single, per_mode = shapes["single"], shapes["per_mode"]
    dearer = _clear(np.subtract(per_mode.costs, single.costs))
    ranks_better = _clear(np.subtract(per_mode.precisions, single.precisions))
    return "single" if (dearer or -ranks_better) > 0.0 else "per_mode"
