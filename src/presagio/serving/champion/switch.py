"""What is served, and what is served from a moment on: each request looks at the clock itself."""

import threading
import time

from presagio.serving.champion.agreement import Moment
from presagio.serving.champion.served import Served

# A moment farther ahead is one of another clock, as after a failover of the database.
_FARTHEST_S = 5.0


class Switch:
    """Holds one model, and the one that comes after it.

    Parameters
    ----------
    first
        What is served at first, if there is anything.

    Attributes
    ----------
    current
        What is served, as far as it has been taken.
    changing
        Held while that is changed by others than requests.
    """

    def __init__(self, first: Served | None) -> None:
        self.current, self.changing = first, threading.Lock()
        self._coming: tuple[Moment, Served] | None = None

    @property
    def served(self) -> Served | None:
        """What answers a request that is asked now."""
        if self._coming is not None:
            self._pass_on()
        return self.current

    def _pass_on(self) -> None:
        """Serve what comes, if its moment has come; wait while that is not sure, for 50 ms at most.

        So nobody who has had an answer of the new version gets one of the old version here.
        """
        while (coming := self._coming) is not None and time.monotonic() >= coming[0].closes:
            if (left := coming[0].opens - time.monotonic()) > 0:
                time.sleep(left)
                continue
            with self.changing:
                if self._coming is coming:
                    self.current, self._coming = coming[1], None

    def take(self, coming: Served, moment: Moment | None) -> float:
        """Serve a model from a moment on, and return after it.

        Parameters
        ----------
        coming
            The model.
        moment
            From when on; None for now.

        Returns
        -------
        float
            The seconds from the moment until it was taken.
        """
        now = time.monotonic()
        if moment is None or moment.closes > now + _FARTHEST_S:
            moment = Moment(now, now)
        with self.changing:
            self._coming = moment, coming
        time.sleep(max(moment.closes - time.monotonic(), 0.0))
        self._pass_on()
        return max(time.monotonic() - moment.opens, 0.0)
