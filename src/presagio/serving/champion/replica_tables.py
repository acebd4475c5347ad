"""The tables in which replicas say what they serve, read and written by one process of one."""

import os
import re
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.agreement import Agreed, State, topic_of
from presagio.serving.champion.clock import DatabaseClock
from presagio.serving.shared.database import CONNECTION

_DIGEST = re.compile("[0-9a-f]{64}")
# A process that has not been seen for so long is not waited for.
EXPIRY_S = 3.0
# From the agreement to the swap: every process reads it meanwhile, several times.
_DELAY_S = 0.6
_FORGOTTEN_S = 600.0

_BEAT = (
    "INSERT INTO api_processes (process, replica, pid, seen) "
    "VALUES (%s, %s, %s, clock_timestamp()) "
    "ON CONFLICT (process) DO UPDATE SET seen = EXCLUDED.seen"
)
_FORGET = "DELETE FROM api_processes WHERE seen < clock_timestamp() - make_interval(secs => %s)"
_LEAVE = "DELETE FROM api_processes WHERE process = %s"
_STATE = (
    "INSERT INTO api_states (process, topic, model, version, degraded, reason, serves, prepared, "
    "refused, looked) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
    "ON CONFLICT (process, topic) DO UPDATE SET model = EXCLUDED.model, "
    "version = EXCLUDED.version, degraded = EXCLUDED.degraded, reason = EXCLUDED.reason, "
    "serves = EXCLUDED.serves, prepared = EXCLUDED.prepared, refused = EXCLUDED.refused, "
    "looked = EXCLUDED.looked"
)
_WITHDRAW = "DELETE FROM api_states WHERE process = %s AND topic = %s"
_WAKE = (
    "INSERT INTO api_champions AS c (topic, woken) VALUES (%s, 1) "
    "ON CONFLICT (topic) DO UPDATE SET woken = c.woken + 1"
)
# Two that decide at once decide once, and nothing new before the last moment has come.
_DECIDE = (
    "INSERT INTO api_champions AS c (topic, generation, name, version, run_id, "
    "registered_digest, artifact_digest, at) "
    "VALUES (%(topic)s, 1, %(name)s, %(version)s, %(run_id)s, %(registered)s, %(digest)s, "
    "clock_timestamp() + make_interval(secs => %(delay)s)) "
    "ON CONFLICT (topic) DO UPDATE SET generation = c.generation + 1, name = EXCLUDED.name, "
    "version = EXCLUDED.version, run_id = EXCLUDED.run_id, "
    "registered_digest = EXCLUDED.registered_digest, "
    "artifact_digest = EXCLUDED.artifact_digest, at = EXCLUDED.at "
    "WHERE c.generation = %(seen)s AND (c.at IS NULL OR c.at < clock_timestamp() "
    # Unless it was another clock.
    "OR c.at > clock_timestamp() + make_interval(secs => 10 * %(delay)s))"
)
_TIME = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now"
_CHAMPIONS = (
    "SELECT topic, woken, generation, name, version, run_id, registered_digest, "
    "artifact_digest, extract(epoch FROM at)::float8 AS at "
    "FROM api_champions WHERE topic = ANY(%s)"
)
_STATES = (
    "SELECT s.topic, p.replica, p.pid, s.model, s.version, s.degraded, s.reason, s.serves, "
    "s.prepared, s.refused, s.looked "
    "FROM api_states s JOIN api_processes p USING (process) "
    "WHERE p.seen > clock_timestamp() - make_interval(secs => %s) AND s.topic = ANY(%s) "
    "ORDER BY p.replica, p.pid"
)


@dataclass(frozen=True)
class View:
    """What all replicas have agreed on and say, of one topic, as it was read last.

    Attributes
    ----------
    woken
        A number that changes each time that somebody wakes all.
    """

    woken: int = 0
    agreed: Agreed | None = None
    states: tuple[State, ...] = field(default=())

    @property
    def generation(self) -> int:
        """How often a champion was agreed on."""
        return 0 if self.agreed is None else self.agreed.generation


def _agreed_of(row: Mapping[str, Any]) -> Agreed | None:
    """Return the champion that a row names; None where it names none of that model."""
    digests = row["artifact_digest"] or "", row["registered_digest"]
    if (
        not row["generation"]
        or row["at"] is None
        or row["topic"] != topic_of(row["name"])
        or not all(digest is None or _DIGEST.fullmatch(digest) for digest in digests)
    ):
        return None
    version = RegisteredVersion(
        row["name"], row["version"], row["run_id"], row["registered_digest"]
    )
    return Agreed(row["generation"], version, row["artifact_digest"], row["at"])


class ReplicaTables:
    """One connection, used by one thread.

    Parameters
    ----------
    address
        Of the API's database, as libpq takes it.
    process, replica
        This process, and the name of the replica that it belongs to.
    clock
        Takes a measurement with each reading.

    Raises
    ------
    psycopg.Error
        If the database cannot be used; likewise from all methods.
    """

    def __init__(self, address: str, process: UUID, replica: str, clock: DatabaseClock) -> None:
        self._process, self._replica, self._clock = process, replica, clock
        self._connection = psycopg.connect(
            address, autocommit=True, row_factory=dict_row, **CONNECTION
        )
        clock.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    @property
    def descriptor(self) -> int:
        """The connection's file descriptor."""
        return self._connection.fileno()

    def beat(self) -> None:
        """Say that this process is alive."""
        self._connection.execute(_BEAT, (self._process, self._replica, os.getpid()))

    def forget(self) -> None:
        """Remove processes that have not been seen for long."""
        self._connection.execute(_FORGET, (_FORGOTTEN_S,))

    def leave(self) -> None:
        """Remove this process and all that it says."""
        self._connection.execute(_LEAVE, (self._process,))

    def post(self, topic: str, state: State) -> None:
        """Say what this process serves."""
        self._connection.execute(
            _STATE,
            (self._process, topic, state.model, state.version, state.degraded, state.reason,
             state.serves, state.prepared, state.refused, state.looked),
        )  # fmt: skip

    def withdraw(self, topic: str) -> None:
        """Say nothing of a topic any more."""
        self._connection.execute(_WITHDRAW, (self._process, topic))

    def wake(self, topic: str) -> None:
        """Have all processes look at what a topic is about."""
        self._connection.execute(_WAKE, (topic,))

    def decide(self, topic: str, version: RegisteredVersion, digest: str, seen: int) -> None:
        """Agree on a champion, unless others have agreed on one since generation ``seen``."""
        self._connection.execute(
            _DECIDE,
            {
                "topic": topic, "name": version.name, "version": version.version,
                "run_id": version.run_id, "registered": version.digest, "digest": digest,
                "delay": _DELAY_S, "seen": seen,
            },
        )  # fmt: skip

    def read(self, topics: Collection[str]) -> Mapping[str, View]:
        """Return what all replicas say of topics, and measure the database's clock."""
        began = time.monotonic()
        row = self._connection.execute(_TIME).fetchone()
        assert row is not None  # noqa: S101 - it selects one row always
        self._clock.measure(began, time.monotonic(), row["now"])
        wanted = list(topics)
        states: dict[str, list[State]] = defaultdict(list)
        for state in self._connection.execute(_STATES, (EXPIRY_S, wanted)):
            states[state.pop("topic")].append(State(**state))
        found = {topic: View(states=tuple(states[topic])) for topic in wanted}
        for one in self._connection.execute(_CHAMPIONS, (wanted,)):
            topic = one["topic"]
            found[topic] = View(one["woken"], _agreed_of(one), tuple(states[topic]))
        return found
