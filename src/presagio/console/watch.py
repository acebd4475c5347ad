"""Which services do not answer, and since when: asked now and then, by a thread."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_log = logging.getLogger(__name__)
_PERIOD_S = 10.0


@dataclass(frozen=True)
class Outage:
    """A service that does not answer.

    Attributes
    ----------
    name
        The service.
    since
        When it answered last, or when it was first asked.
    """

    name: str
    since: datetime


class Watch:
    """Asks each service whether it is there.

    Parameters
    ----------
    checks
        What raises an exception while a service, by its name, does not answer.
    """

    def __init__(
        self, checks: Mapping[str, Callable[[], object]], period_s: float = _PERIOD_S
    ) -> None:
        self._checks, self._period_s = checks, period_s
        self._answered = dict.fromkeys(checks, datetime.now(UTC))
        self._down: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def outages(self) -> tuple[Outage, ...]:
        """What does not answer now."""
        return tuple(Outage(name, self._answered[name]) for name in sorted(self._down))

    def look(self) -> None:
        """Ask all of them once."""
        down = set()
        for name, check in self._checks.items():
            try:
                check()
            except Exception as err:  # noqa: BLE001 - whatever it is, the service is not there
                down.add(name)
                if name not in self._down:
                    _log.warning("%s does not answer: %s", name, err)
            else:
                self._answered[name] = datetime.now(UTC)
        for name in self._down - down:
            _log.info("%s answers again", name)
        self._down = frozenset(down)

    def start(self) -> None:
        """Begin to ask."""
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._period_s)

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._period_s)
