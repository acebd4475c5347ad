"""Effective sample size: how many independent values a series is worth."""

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
