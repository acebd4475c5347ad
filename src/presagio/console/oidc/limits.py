"""Limits on sign-ins: failures a minute by address, and each sign-in is finished once."""

import time
from collections import OrderedDict, deque
from threading import Lock

from presagio.console.oidc.attempt import LASTS_S
from presagio.console.oidc.faults import NotSignedInError
from presagio.serving.http.forwarded import network_of

_WINDOW_S = 60.0
_MOST_COUNTS = 20_000
_MOST_USED = 100_000


class Failures:
    """Counts failures of the last minute by address.

    Parameters
    ----------
    most
        How many of one address are heard.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        # Ordered by the last failure.
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Check that an address may try again.

        Raises
        ------
        NotSignedInError
            If it has failed too often.
        """
        with self._lock:
            times = self._times.get(network_of(address))
            if times is None or len(times) < self._most:
                return
            wait = times[0] + _WINDOW_S - time.monotonic()
        if wait > 0:
            raise NotSignedInError("busy", f"{address} has failed too often", int(wait) + 1)

    def add(self, address: str) -> None:
        """Count a failure."""
        network = network_of(address)
        with self._lock:
            times = self._times.setdefault(network, deque(maxlen=self._most))
            times.append(time.monotonic())
            self._times.move_to_end(network)
            if len(self._times) > _MOST_COUNTS:
                self._times.popitem(last=False)


class Used:
    """Which sign-ins were finished, or failed: none of them goes on a second time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: OrderedDict[str, float] = OrderedDict()

    def take(self, state: str) -> bool:
        """Tell whether a sign-in may go on; from then on it may not."""
        now = time.monotonic()
        with self._lock:
            while self._until:
                oldest = next(iter(self._until.values()))
                if oldest > now and len(self._until) < _MOST_USED:
                    break
                self._until.popitem(last=False)
            if state in self._until:
                return False
            self._until[state] = now + LASTS_S
            return True
