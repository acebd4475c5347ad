"""Effective sample size: how many independent values a series is worth, or those of many units."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# What varies so slowly that hardly a value is independent is worth this many at least.
FEWEST = 2.0


def effective_rows(values: Floats) -> float:
    """Say how many independent values a series of shape ``(n,)`` is worth; its order counts.

    ``n`` over the integrated autocorrelation time, summed up over pairs of lags while these are
    positive. Source: Geyer, "Practical Markov Chain Monte Carlo", 1992.
    """
    count = len(values)
    centred = values - values.mean()
    if not np.any(centred):
        return FEWEST
    spectrum = np.fft.rfft(centred, 2 * count)
    covariance = np.fft.irfft(spectrum * spectrum.conjugate())[:count]
    correlation = covariance / covariance[0]
    pairs = correlation[: count // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0.0)
    kept = pairs[: ends[0]] if len(ends) else pairs
    return float(np.clip(count / max(2.0 * kept.sum() - 1.0, 1.0), FEWEST, count))


def effective_sizes(
    reference: Floats, reference_rows: int, window_rows: int
) -> tuple[float, float]:
    """Return how many independent values training data and window are worth.

    Both by how the training data's values, of shape ``(m,)``, follow each other: a window that
    stands still would say nothing of it.
    """
    share = effective_rows(reference) / len(reference)
    return max(reference_rows * share, FEWEST), max(window_rows * share, FEWEST)


# Of so many units, those with most rows, it is looked at how their values follow each other.
_MOST_UNITS = 200


@dataclass(frozen=True)
class Units:
    """Of which unit rows are, of the training data and of a window: numbers from 0 on.

    Attributes
    ----------
    reference, window
        Shape ``(m,)`` and ``(n,)``.
    """

    reference: NDArray[np.int64]
    window: NDArray[np.int64]

    def take(self, reference: NDArray[np.bool_], window: NDArray[np.bool_]) -> "Units":
        """Return those of some rows."""
        return Units(self.reference[reference], self.window[window])


def units_of(reference: NDArray[Any], window: NDArray[Any]) -> Units:
    """Return of which unit rows are as numbers, from names of shape ``(m,)`` and ``(n,)``."""
    codes = np.unique(np.concatenate([reference, window]), return_inverse=True)[1].astype(np.int64)
    return Units(codes[: len(reference)], codes[len(reference) :])


def effective_sizes_by_unit(
    reference: Floats, reference_rows: int, units: Units
) -> tuple[float, float]:
    """Return how many independent values training data and window are worth, by their units.

    The variance of a mean is ``b / U + w / E``: ``b`` and ``w`` are the variances between units
    and within them (one-way analysis of variance; Searle, Casella and McCulloch, "Variance
    Components", 1992, section 3.6), ``U`` how many units there are, each as heavy as it has rows
    (Kish, "Survey Sampling", 1965, section 8.2), and ``E`` what their rows are worth by how they
    follow each other within a unit. Both variances are of the training data.

    Parameters
    ----------
    reference
        Values of the training data, unit by unit in order, shape ``(m,)``.
    reference_rows
        Of how many rows these are a part.
    units
        Of which unit each row is.
    """
    counts = np.bincount(units.reference)
    there = counts > 0
    means = np.bincount(units.reference, weights=reference) / np.maximum(counts, 1)
    within = float(np.mean((reference - means[units.reference]) ** 2))
    between, groups, rows = 0.0, int(there.sum()), len(reference)
    share = _share_within(reference, units.reference, counts)
    if groups > 1:
        spread = float(counts @ (means - reference.mean()) ** 2) / (groups - 1)
        # What means of units differ by though units do not, since their rows follow each other.
        inner = within * rows / max(rows - groups, 1) / share
        size = (rows - float(counts @ counts) / rows) / (groups - 1)
        between = max((spread - inner) / max(size, 1.0), 0.0)
    if between + within == 0.0:
        return FEWEST, FEWEST

    def worth(codes: NDArray[np.int64], total: int) -> float:
        some = np.bincount(codes).astype(np.float64)
        heavy = len(codes) ** 2 / float(some @ some)
        variance = between / heavy + within / max(total * share, 1.0)
        return max(min((between + within) / variance, float(total)), FEWEST)

    return worth(units.reference, reference_rows), worth(units.window, len(units.window))


def _share_within(values: Floats, codes: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
    """Return how much a row is worth beside others of its unit, by how they follow each other."""
    largest = np.argsort(-counts, kind="stable")[:_MOST_UNITS]
    order = np.argsort(codes, kind="stable")
    starts = np.append(0, np.cumsum(counts))
    found = total = 0.0
    for unit in largest[counts[largest] > 1]:
        series = values[order[starts[unit] : starts[unit + 1]]]
        found += effective_rows(series) if np.ptp(series) else 1.0
        total += len(series)
    return found / total if total else 1.0
