"""Which alarm is for which failure: the one definition, for training and for alarms in service.

Of a life that ends with a failure the first alarm counts. It is caught where that alarm comes less
than two horizons before it; an alarm that comes earlier, or that no failure follows, was false.
"""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

# An alarm this many horizons before the failure is too early to be for it.
TOO_EARLY = 2.0


def caught(lead: Floats, horizon: float) -> Bools:
    """Tell which failures were caught.

    Parameters
    ----------
    lead
        The time from the first alarm of the life to its failure, shape ``(n,)``; NaN without one.
    horizon
        How far ahead a failure is to be foreseen, in the same unit; infinite where the label has
        none.
    """
    found: Bools = lead < TOO_EARLY * horizon
    return found


def for_nothing(left: Floats, horizon: float) -> Bools:
    """Tell at which times an alarm would be false.

    Parameters
    ----------
    left
        The time that was left until the life's failure, shape ``(n,)``; NaN where none was seen.
    horizon
        As of :func:`caught`.
    """
    found: Bools = np.isnan(left) | (left >= TOO_EARLY * horizon)
    return found
