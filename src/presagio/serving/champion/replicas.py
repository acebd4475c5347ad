"""The replicas of the API, each a process or more: one thread here speaks to their database.

Predictions never wait for it. What it says is read several times a second into memory; whoever
asks here gets what was read last. A database that is unavailable, or hangs, makes ``available``
false, and each replica follows the champion by itself until it is there again.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from presagio.serving.champion.agreement import Agreed, Moment, State
from presagio.serving.champion.clock import DatabaseClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from presagio.registry.versions import RegisteredVersion
    from presagio.serving.champion.replica_tables import ReplicaTables, View

_log = logging.getLogger(__name__)
_TICK_S = 0.2
# While a swap is under way.
_EAGER_TICK_S = 0.05
_BEAT_S = 1.0
_FORGET_S = 60.0
_RETRY_S = 1.0
# What was read longer ago is not what the others say now.
_STALE_S = 2.0
# A statement of a few rows that takes longer hangs.
_HANGS_S = 5.0
_LEAVE_S = 2.0
_MOST_REQUESTS = 1000


class Replicas:
    """What this process knows of all replicas, and says to them.

    Parameters
    ----------
    address
        Of the API's database, as libpq takes it.
    name
        Name of the replica that this process belongs to.

    Attributes
    ----------
    fault
        Why it is not known what the others say; None where it is.
    asked
        Whether the database has answered, or is known not to.
    """

    def __init__(self, address: str, name: str) -> None:
        self._address, self.name, self._process = address, name, uuid4()
        self._clock = DatabaseClock()
        self._changed = threading.Condition()
        self._poke, self._ending = threading.Event(), threading.Event()
        self._states: dict[str, State] = {}
        self._dirty: set[str] = set()
        self._requests: deque[Callable[[ReplicaTables], None]] = deque(maxlen=_MOST_REQUESTS)
        self._views: Mapping[str, View] = {}
        self._read_at = self._busy_since = 0.0
        self._descriptor: int | None = None
        self._eager = 0
        self.fault: str | None = "the replicas' database has not been asked yet"
        self.asked = False
        self._thread = threading.Thread(target=self._run, name="replicas", daemon=True)

    def start(self) -> None:
        """Begin to speak to the database."""
        self._thread.start()

    def close(self) -> None:
        """Remove this process from what the replicas say; wait for that a moment only."""
        self._ending.set()
        self._poke.set()
        if self._thread.ident is not None:
            self._thread.join(_LEAVE_S)

    @property
    def available(self) -> bool:
        """Whether it is known what the other replicas say."""
        return self.fault is None and time.monotonic() - self._read_at < _STALE_S

    @property
    def reason(self) -> str | None:
        """Why it is not known what the other replicas say; None where it is."""
        if self.available:
            return None
        return self.fault or "the replicas' database has not answered for a while"

    def watch(self) -> None:
        """Break off a statement that hangs; called now and then."""
        since, descriptor = self._busy_since, self._descriptor
        if since and descriptor is not None and time.monotonic() - since > _HANGS_S:
            self._busy_since = 0.0
            _log.warning("a statement of the replicas hangs; its connection is given up")
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as line:
                line.shutdown(socket.SHUT_RDWR)

    def view(self, topic: str) -> "View | None":
        """Return what the replicas say of a topic; None where that is not known now."""
        return self._views.get(topic) if self.available else None

    def now(self) -> float:
        """Return the database's time, in seconds since 1970; this machine's if it is not known."""
        try:
            return self._clock.now(time.monotonic())
        except ValueError:
            return time.time()

    def moment(self, agreed: Agreed) -> Moment:
        """Return when an agreed champion is served."""
        return self._clock.moment(agreed.at, time.monotonic())

    def post(self, topic: str, **changes: Any) -> None:
        """Say something new of a topic: fields of :class:`State`."""
        with self._changed:
            before = self._states.get(topic) or State(self.name, os.getpid())
            self._states[topic] = State(**(vars(before) | changes))
            self._dirty.add(topic)
        self._poke.set()

    def withdraw(self, topic: str) -> None:
        """Say nothing of a topic any more."""
        with self._changed:
            self._states.pop(topic, None)
            self._dirty.discard(topic)
        self._ask(lambda tables: tables.withdraw(topic))

    def wake(self, topic: str) -> None:
        """Have all replicas look at what a topic is about."""
        self._ask(lambda tables: tables.wake(topic))

    def decide(self, topic: str, version: "RegisteredVersion", digest: str, seen: int) -> None:
        """Agree on a champion for all, unless others have since generation ``seen``."""
        self._ask(lambda tables: tables.decide(topic, version, digest, seen))

    def _ask(self, request: "Callable[[ReplicaTables], None]") -> None:
        if self.available:
            self._requests.append(request)
            self._poke.set()

    @contextlib.contextmanager
    def attentively(self) -> Any:
        """Read more often meanwhile."""
        with self._changed:
            self._eager += 1
        self._poke.set()
        try:
            yield
        finally:
            with self._changed:
                self._eager -= 1

    def wait(self, limit_s: float) -> None:
        """Wait until something was read, or it is known that nothing can be."""
        with self._changed:
            self._changed.wait(limit_s)

    def _run(self) -> None:
        # ruff: noqa: PLC0415 - takes 0.1 s, and is there with several replicas only
        import psycopg

        from presagio.serving.champion.replica_tables import ReplicaTables

        while not self._ending.is_set():
            try:
                with ReplicaTables(self._address, self._process, self.name, self._clock) as tables:
                    self._descriptor = tables.descriptor
                    self._dirty = set(self._states)
                    self._serve(tables)
            except psycopg.Error as err:
                # What stands in a bad address may be a password.
                known = isinstance(err, psycopg.OperationalError)
                self._fail(err, str(err) if known else "")
            except Exception as err:  # noqa: BLE001 - nothing may end the thread
                self._fail(err)
            finally:
                self._descriptor, self._busy_since = None, 0.0
            self._ending.wait(_RETRY_S)

    def _fail(self, err: Exception, why: str = "") -> None:
        # Whoever asks for the API's health sees this; addresses and roles are for the log.
        fault = f"the replicas' database cannot be used: {type(err).__name__}"
        with self._changed:
            first, self.fault = self.fault != fault, fault
            self._requests.clear()
            self.asked = True
            self._changed.notify_all()
        if first:
            more = f" ({' '.join(why.split())[:300]})" if why else ""
            _log.warning("%s%s; this replica follows the champion by itself meanwhile", fault, more)

    def _serve(self, tables: "ReplicaTables") -> None:
        beat = forget = 0.0
        while not self._ending.is_set():
            self._poke.clear()
            self._busy_since = time.monotonic()
            if self._busy_since - beat >= _BEAT_S:
                tables.beat()
                beat = self._busy_since
            if self._busy_since - forget >= _FORGET_S:
                tables.forget()
                forget = self._busy_since
            self._write(tables)
            self._read(tables)
            self._busy_since = 0.0
            self._poke.wait(_EAGER_TICK_S if self._eager else _TICK_S)
        self._busy_since = time.monotonic()
        tables.leave()

    def _write(self, tables: "ReplicaTables") -> None:
        with self._changed:
            waiting = {topic: self._states[topic] for topic in self._dirty}
            self._dirty = set()
        for topic, state in waiting.items():
            tables.post(topic, state)
        while self._requests:
            self._requests.popleft()(tables)

    def _read(self, tables: "ReplicaTables") -> None:
        views = tables.read(self._states.keys())
        with self._changed:
            self._views, self._read_at = views, time.monotonic()
            back, self.fault, self.asked = self.fault is not None, None, True
            self._changed.notify_all()
        if back:
            _log.info("replica %s knows what the others serve", self.name)
