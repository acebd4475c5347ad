"""Example lives for the card: what the model says of a unit until it fails, and when it alarms."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.machine.learning import AlarmRule
from presagio.training.datasets.lives import Series
from presagio.training.evaluation.events import first_alarms, order_lives

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

_EXAMPLES = 4
_MOST_POINTS = 150
_MOST_LEADS = 1000


def lead_times(series: Series, label: Bools, rule: AlarmRule, *, day: float) -> list[float | None]:
    """Return for each failure the time from first alarm to it, the longest last; None: missed.

    Parameters
    ----------
    series
        Lives of ``n`` rows.
    label
        What is predicted of each, shape ``(n,)``.
    rule
        When an alarm goes off.
    day
        The unit of what is returned.
    """
    leads = np.sort(first_alarms(series, label, rule)) / day
    if len(leads) > _MOST_LEADS:
        leads = leads[np.linspace(0, len(leads) - 1, _MOST_LEADS).astype(np.int64)]
    return [None if np.isnan(lead) else round(float(lead), 4) for lead in leads]


def example_lives(
    series: Series, probability: Floats, label: Bools, rule: AlarmRule, *, day: float
) -> list[dict[str, Any]]:
    """Return some lives that ended with a failure: from an early alarm to a late one, or none.

    Parameters
    ----------
    series, label, rule, day
        As of :func:`lead_times`.
    probability
        The calibrated probability of each row, shape ``(n,)``.

    Returns
    -------
    list of dict
        ``unit``, and for some of its readings, in order: ``left``, the time until the failure,
        ``probability`` and ``alarm``.
    """
    ordered = order_lives(series, label, rule)
    fails = np.flatnonzero(ordered.fails)
    # In the order of their lead times, so that the examples are from all over them.
    leads = first_alarms(series, label, rule)
    ranked = fails[np.argsort(-np.nan_to_num(leads, nan=-1.0), kind="stable")]
    chosen = np.unique(np.linspace(0, len(ranked) - 1, min(_EXAMPLES, len(ranked))).astype(int))
    found = []
    for life in ranked[chosen]:
        rows = np.arange(ordered.starts[life], ordered.ends[life])
        if len(rows) > _MOST_POINTS:
            rows = rows[np.linspace(0, len(rows) - 1, _MOST_POINTS).astype(np.int64)]
        places = ordered.order[rows]
        found.append({
            "unit": str(series.units[places[0]]),
            "left": (ordered.left[rows] / day).round(4).tolist(),
            "probability": probability[places].round(4).tolist(),
            "alarm": ordered.on[rows].tolist(),
        })  # fmt: skip
    return found
