"""How the time of a function grows with the size of its input, without absolute times."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_TIMES = 8


def growth(make: Callable[[int], T], use: Callable[[T], object], size: int) -> float:
    """Return how much more processor time an input of eight times the size takes.

    About 8 where time is linear and 64 where it is quadratic; half of 64 tells them apart on a busy
    machine too. The smaller input is used so often that its time can be measured.
    """

    def seconds(given: T, times: int) -> float:
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            for _ in range(times):
                use(given)
            best = min(best, (time.process_time() - start) / times)
        return best

    small, large = make(size), make(_TIMES * size)
    return seconds(large, 1) / max(seconds(small, _TIMES), 1e-6)


LINEAR = 32.0
