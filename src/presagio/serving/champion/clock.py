"""The database's clock as this process knows it: its offset to the monotonic clock, measured."""

from collections import deque

from presagio.serving.champion.agreement import Moment

# Of measurements that are so old, clocks have drifted apart by more than they err.
_KEPT_S = 10.0
_DRIFT = 100e-6
_MARGIN_S = 0.0005
# Answers wait twice as long for a swap. Where a round trip takes longer, the swap is less exact.
_MOST_S = 0.025


class DatabaseClock:
    """Turns moments of the database's clock into those of this process's monotonic clock.

    Each query that returns the database's time is a measurement: it was read between the query's
    beginning and end. The one with the shortest round trip errs least.
    """

    def __init__(self) -> None:
        self._measured: deque[tuple[float, float, float]] = deque()

    def measure(self, began: float, ended: float, database: float) -> None:
        """Take a measurement.

        Parameters
        ----------
        began, ended
            When the query was sent and answered, by the monotonic clock, in seconds.
        database
            What the database's clock read meanwhile, in seconds since 1970.
        """
        self._measured.append((ended, database - (began + ended) / 2, (ended - began) / 2))
        while self._measured[0][0] < ended - _KEPT_S:
            self._measured.popleft()

    def _best(self, now: float) -> tuple[float, float]:
        """Return the offset that errs least, and by how much it may."""
        if not self._measured:
            raise ValueError("the database's clock has not been read yet")
        return min(
            (
                (offset, error + (now - ended) * _DRIFT)
                for ended, offset, error in tuple(self._measured)
            ),
            key=lambda measured: measured[1],
        )

    def now(self, monotonic: float) -> float:
        """Return the database's time at a moment of the monotonic clock, in seconds since 1970.

        Raises
        ------
        ValueError
            If it has not been measured yet.
        """
        return monotonic + self._best(monotonic)[0]

    def moment(self, database: float, monotonic: float) -> Moment:
        """Return when it is that time of the database, as far as is known now.

        Raises
        ------
        ValueError
            If the database's clock has not been measured yet.
        """
        offset, error = self._best(monotonic)
        error = min(error + _MARGIN_S, _MOST_S)
        return Moment(database - offset - error, database - offset + error)

    def reset(self) -> None:
        """Forget all measurements: the next database may have another clock."""
        self._measured.clear()
