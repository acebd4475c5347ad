"""When an alarm is on: the one definition, for lead times at training and for cases on arrival.

It goes on where so many of a unit's newest readings say so (``[alarm] confirm``), and is over after
so many in a row that do not (``quiet``).
"""

import numpy as np
from numpy.typing import NDArray

from presagio.machine.learning import AlarmRule

Bools = NDArray[np.bool_]


def switches(label: Bools, lives: NDArray[np.int64], rule: AlarmRule) -> tuple[Bools, Bools]:
    """Tell at which readings an alarm goes on or stays so, and at which it is over.

    Between them it is as it was at the last one of either; where both are true it is over.

    Parameters
    ----------
    label
        What is predicted of each reading, shape ``(n,)``: life by life, in order of time.
    lives
        Of which life it is, shape ``(n,)``.
    rule
        When an alarm goes on, and when it is over.

    Returns
    -------
    tuple
        Both of shape ``(n,)``.
    """
    needed, newest = rule.confirm
    quiet: Bools = _votes(~label, lives, rule.quiet) >= rule.quiet
    confirmed: Bools = _votes(label, lives, newest) >= needed
    return confirmed, quiet


def alarms_on(label: Bools, lives: NDArray[np.int64], rule: AlarmRule) -> Bools:
    """Tell where an alarm is on, shape ``(n,)``; parameters are those of :func:`switches`."""
    at, before = np.arange(len(label)), np.full(len(label), -1)
    confirmed, quiet = switches(label, lives, rule)
    on = np.where(confirmed, at, before)
    starts = np.append(np.ones(min(len(lives), 1), bool), lives[1:] != lives[:-1])
    # At the start of a life nothing is on yet, unless one reading is enough.
    over = np.where(quiet, at, np.where(starts, at - 1, before))
    since: Bools = np.maximum.accumulate(on) > np.maximum.accumulate(over)
    return since


def _votes(votes_for: Bools, lives: NDArray[np.int64], newest: int) -> NDArray[np.int64]:
    """Count of the newest readings of the life, shape ``(n,)``, those that vote."""
    total = np.zeros(len(votes_for), dtype=np.int64)
    for back in range(min(newest, len(votes_for))):
        same = lives[back:] == lives[: len(lives) - back]
        total[back:] += votes_for[: len(votes_for) - back] & same
    return total
