"""Points of a model's curves on the held-out test set, few enough for the model card."""

import numpy as np
from sklearn import metrics

from presagio.training.evaluation.metrics import Bools, Floats

_MOST = 60
_BINS = 10
Points = list[list[float]]


def _points(x: Floats, y: Floats) -> Points:
    """Keep the ends, and of what lies between so many at equal distances along the curve."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    wanted = np.searchsorted(along, np.linspace(0.0, along[-1], _MOST))
    kept = np.unique(np.clip(wanted, 0, len(x) - 1))
    return [[round(float(x[i]), 4), round(float(y[i]), 4)] for i in kept]


def curve_points(target: Bools, score: Floats, probability: Floats) -> dict[str, Points]:
    """Return points of precision-recall, ROC and reliability.

    Parameters
    ----------
    target, score, probability
        Of each row of the held-out test set, shape ``(n,)``.

    Returns
    -------
    dict
        ``precision_recall``: (recall, precision); ``roc``: (false positive rate, recall);
        ``reliability``: (mean predicted probability, share of failures) of each tenth that has
        rows. Empty where there are only failures, or none.
    """
    if not target.any() or target.all():
        return {}
    precision, recall, _ = metrics.precision_recall_curve(target, score)
    false, true, _ = metrics.roc_curve(target, score)
    bins = np.clip((probability * _BINS).astype(int), 0, _BINS - 1)
    filled = np.unique(bins)
    predicted = np.array([probability[bins == i].mean() for i in filled])
    happened = np.array([target[bins == i].mean() for i in filled])
    return {
        "precision_recall": _points(recall, precision),
        "roc": _points(false, true),
        "reliability": [
            [round(float(p), 4), round(float(s), 4)]
            for p, s in zip(predicted, happened, strict=True)
        ],
    }
