"""Operating conditions, found in the training part."""

import numpy as np
from sklearn.cluster import KMeans

from presagio.inference.conditions import Conditions
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import Floats

# Clusters of more rows are hardly others.
_MOST_ROWS = 50_000
_STARTS = 5


def fit_conditions(spec: MachineSpec, rows: Floats, *, seed: int = 0) -> Conditions | None:
    """Find operating conditions, and what features are in each.

    Parameters
    ----------
    spec
        The machine spec.
    rows
        The training part as it was read, shape ``(n, k)``.
    seed
        Of the clusters' starts, and of the sample that they are found in.

    Returns
    -------
    Conditions or None
        None where the machine spec has none.
    """
    windows = spec.windows
    if windows is None or not windows.by_condition:
        return None
    settings = [spec.input_names.index(name) for name in windows.by_condition]
    features = [spec.input_names.index(name) for name in spec.windowed_names]
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(rows), size=min(len(rows), _MOST_ROWS), replace=False))
    some = np.asarray(rows[chosen])
    middle, scale = _spread(some[:, settings])
    placed = np.nan_to_num((some[:, settings] - middle) / scale)
    # No more conditions than there are different settings.
    count = min(windows.conditions, len(np.unique(placed, axis=0)))
    found = KMeans(count, n_init=_STARTS, random_state=seed).fit(placed)
    parts = [_spread(some[found.labels_ == i][:, features]) for i in range(count)]
    return Conditions(
        settings, features, middle, scale, found.cluster_centers_,
        np.stack([mean for mean, _ in parts]), np.stack([deviation for _, deviation in parts]),
    )  # fmt: skip


def _spread(values: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column; 0 and 1 where it says nothing."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    apart = np.where(known, values - mean, 0.0)
    deviation = np.sqrt((apart**2).sum(axis=0) / count)
    # What never changes but for rounding tells nothing when it does.
    flat = deviation <= 1e-9 * np.maximum(np.abs(mean), 1.0)
    return mean, np.where(flat, 1.0, deviation)
