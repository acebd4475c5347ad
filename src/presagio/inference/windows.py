"""Statistics of a unit's newest readings: one definition, for training, files and single series.

Of each feature over the last ``L`` readings, gaps left out (NaN):

=========  ====================================================================================
mean       the mean
sd         the standard deviation, of all of them (not of a sample)
min, max   the least and the largest
slope      the slope of the least-squares line a reading, times the share of the squared distances
           in time that a whole window has: few readings tell little of a slope, and move it little
=========  ====================================================================================

A window is cut at the unit's first reading; its statistics are of what there is.
"""

import numpy as np
from numpy.typing import NDArray

from presagio.machine.learning import Statistic, Windows

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

# So many values are gathered at a time.
_CHUNK_VALUES = 4_000_000


def _of_windows(values: Floats, statistics: tuple[Statistic, ...]) -> list[Floats]:
    """Return statistics of windows of shape ``(n, L, k)``, each of shape ``(n, k)``."""
    length = values.shape[1]
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    some = np.maximum(count, 1)
    mean = np.where(known, values, 0.0).sum(axis=1) / some
    apart = np.where(known, values - mean[:, None], 0.0)
    found: dict[str, Floats] = {"mean": mean}
    if "sd" in statistics:
        found["sd"] = np.sqrt((apart**2).sum(axis=1) / some)
    if "min" in statistics:
        found["min"] = np.where(known, values, np.inf).min(axis=1)
    if "max" in statistics:
        found["max"] = np.where(known, values, -np.inf).max(axis=1)
    if "slope" in statistics:
        steps = np.arange(length, dtype=np.float64)[None, :, None]
        middle = np.where(known, steps, 0.0).sum(axis=1) / some
        whole = float(((steps - steps.mean()) ** 2).sum())
        found["slope"] = ((steps - middle[:, None]) * apart).sum(axis=1) / whole
    nothing = count == 0
    return [np.where(nothing, np.nan, found[name]) for name in statistics]


def window_statistics(
    values: Floats, keys: Positions, windows: Windows, wanted: Positions
) -> Floats:
    """Compute the statistics of some rows.

    Parameters
    ----------
    values
        Shape ``(n, k)``: readings, unit by unit and in order of time; NaN where one is missing.
    keys
        Shape ``(n,)``: of two readings of one unit they differ by how many came between them; those
        of two units by more than a window.
    windows
        What is computed.
    wanted
        Positions of the rows, shape ``(m,)``.

    Returns
    -------
    ndarray
        Shape ``(m, k * statistics * lengths)``: length by length, statistic by statistic, feature
        by feature. NaN where no reading of a window has a value.
    """
    width = values.shape[1] * len(windows.statistics)
    found = np.empty((len(wanted), width * len(windows.rows)))
    for place, length in enumerate(windows.rows):
        chunk = max(1, _CHUNK_VALUES // (length * values.shape[1]))
        steps = np.arange(length - 1, -1, -1)
        for start in range(0, len(wanted), chunk):
            rows = wanted[start : start + chunk]
            before = np.maximum(rows[:, None] - steps, 0)
            inside = (keys[before] == keys[rows][:, None] - steps) & (rows[:, None] >= steps)
            gathered = np.where(inside[:, :, None], values[before], np.nan)
            columns = _of_windows(gathered, windows.statistics)
            found[start : start + chunk, place * width : (place + 1) * width] = np.hstack(columns)
    return found
