"""How far off the time left is that is predicted for units."""

import numpy as np

from presagio.inference.manifest import RemainingTable
from presagio.inference.remaining_life import with_interval
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.splitting import Part
from presagio.training.detectors.features import compute_features
from presagio.training.search.remaining import RemainingModel

# So many rows are predicted at a time.
_CHUNK_ROWS = 20_000


def remaining_table(spec: MachineSpec, remaining: RemainingModel | None) -> RemainingTable | None:
    """Return what a manifest says of the time left."""
    rule = spec.remaining_life
    if remaining is None or rule is None:
        return None
    return RemainingTable(
        most=remaining.regression.most, unit=spec.day_name,
        coverage=rule.coverage, levels=remaining.levels, widths=remaining.widths,
    )  # fmt: skip


def evaluate_remaining(
    spec: MachineSpec, part: Part, remaining: RemainingModel
) -> dict[str, float | None]:
    """Evaluate the time left on the lives of a part that ended with a failure.

    Returns
    -------
    dict
        ``rmse``, where longer lives count as the most that is told apart, and ``coverage``: the
        share of readings, each life counting as one, whose interval holds what was left. None
        where no life ended.
    """
    table = remaining_table(spec, remaining)
    known = np.zeros(len(part), dtype=bool)
    if part.series is not None:
        known = ~np.isnan(part.series.left)
    if table is None or part.series is None or not known.any():
        return {"rmse": None, "coverage": None}
    some = part.take(np.flatnonzero(known))
    assert some.series is not None  # noqa: S101 - as the part has one
    left = some.series.left / spec.day
    predicted = [
        remaining.regression.predict(
            compute_features(spec, some.inputs[i : i + _CHUNK_ROWS], remaining.features.columns)
        )
        for i in range(0, len(some), _CHUNK_ROWS)
    ]
    found = with_interval(table, np.concatenate(predicted))
    apart = np.minimum(left, table.most) - found.value
    held = (left >= found.low) & (np.isnan(found.high) | (left <= found.high))
    lives, places = np.unique(some.series.lives, return_inverse=True)
    share = np.bincount(places, held) / np.bincount(places)
    return {
        "rmse": float(np.sqrt(np.mean(apart**2))),
        "coverage": float(share.mean()) if len(lives) else None,
    }
