"""What was read last, shown where its source does not answer now, with the time of that reading."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from presagio.errors import RegistryError, StackError, StorageError

Value = TypeVar("Value")
_MOST = 512
# What a source that does not answer raises.
UNAVAILABLE = (StorageError, RegistryError, StackError)


@dataclass(frozen=True)
class Reading:
    """What was read, and when; ``fault`` says why it is not newer."""

    value: Any
    at: datetime
    fault: Exception | None = None


class LastKnown:
    """Keeps the last value of each key, of those that were asked for most recently."""

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._kept: OrderedDict[Hashable, Reading] = OrderedDict()

    def read(self, key: Hashable, source: Callable[[], Value]) -> Reading:
        """Read a value, or return the last one where the source does not answer.

        Raises
        ------
        StorageError, RegistryError, StackError
            If it does not answer, and was not read before.
        """
        try:
            reading = Reading(source(), datetime.now(UTC))
        except UNAVAILABLE as err:
            with self._lock:
                known = self._kept.get(key)
            if known is None:
                raise
            return Reading(known.value, known.at, err)
        with self._lock:
            self._kept[key] = reading
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return reading
