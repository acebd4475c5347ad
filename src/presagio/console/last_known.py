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
# Of one sort, which a key begins with: there are as many keys as things to search for, and the
# units of a page take up to a megabyte.
_MOST_OF_A_SORT = 64
# What a source that does not answer raises.
UNAVAILABLE = (StorageError, RegistryError, StackError)


@dataclass(frozen=True)
class Reading:
    """What was read, and when; ``fault`` says why it is not newer."""

    value: Any
    at: datetime
    fault: Exception | None = None


class LastKnown:
    """Keeps the last value of each key, of those that were asked for most recently.

    A key is a sort of value, or a tuple that begins with it.
    """

    def __init__(self, most: int = _MOST, most_of_a_sort: int = _MOST_OF_A_SORT) -> None:
        self._most, self._most_of_a_sort = most, most_of_a_sort
        self._lock = threading.Lock()
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
            same = [other for other in self._kept if _sort(other) == _sort(key)]
            for other in same[: -self._most_of_a_sort]:
                del self._kept[other]
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return reading


def _sort(key: Hashable) -> Hashable:
    return key[0] if isinstance(key, tuple) and key else key
