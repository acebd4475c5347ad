"""Connections to the PostgreSQL database of the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from presagio.errors import RefusedValueError, StorageError
from presagio.settings import Settings
from presagio.settings.private import reveal

_CONNECTIONS = 4
_POOL_S = 30.0
# Classes of PostgreSQL's error codes: a value that no column takes, a rule that it breaks, a limit
# that it goes beyond, such as the longest text in an index.
_REFUSALS = ("22", "23", "54")


@dataclass(frozen=True)
class Waits:
    """How long a program waits for the database for which somebody waits in turn.

    Attributes
    ----------
    statement_s, lock_s
        For a statement, and for what another transaction holds; behind a pooler, which sets neither
        for a connection, as the database's settings say.
    connection_s
        For one of the connections that others use.
    silent_s
        For the network, while nothing comes from the server's machine.
    """

    statement_s: float = 20.0
    lock_s: float = 10.0
    connection_s: float = 5.0
    silent_s: float = 10.0

    def of_connections(self, *, pooled: bool) -> dict[str, Any]:
        """Return what the driver is told."""
        of_network = {
            "tcp_user_timeout": round(self.silent_s * 1000),
            "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2,
        }  # fmt: skip
        if pooled:
            return of_network
        limits = {"statement_timeout": self.statement_s, "lock_timeout": self.lock_s}
        options = " ".join(f"-c {name}={round(s * 1000)}" for name, s in limits.items())
        return {**of_network, "options": options}


def open_database(settings: Settings, waits: Waits | None = None, *, kept: bool = True) -> Engine:
    """Open the ledger's database.

    Connections are kept while the process lives, since PostgreSQL's password check costs more than
    filing a small object does; each is tried before its use, so a restarted PostgreSQL is met.
    Behind a pooler no statement is prepared: the next transaction may have another connection.

    Parameters
    ----------
    settings
        Those of the deployment.
    waits
        How long to wait; as long as it takes where they are not given.
    kept
        Whether connections are kept; without, each use opens one.
    """
    url = reveal(settings.database_url, "PRESAGIO_DATABASE_URL")
    unprepared = {"prepare_threshold": None} if settings.database_pooled else {}
    limits = {} if waits is None else waits.of_connections(pooled=settings.database_pooled)
    connect_args = {"connect_timeout": 5, **unprepared, **limits}
    if not kept:
        return create_engine(url, poolclass=NullPool, connect_args=connect_args)
    return create_engine(
        url,
        pool_size=_CONNECTIONS,
        max_overflow=_CONNECTIONS,
        pool_timeout=_POOL_S if waits is None else waits.connection_s,
        pool_pre_ping=True,
        connect_args=connect_args,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn what PostgreSQL refuses, or its absence, into :class:`StorageError`.

    What is wrong with the values themselves is :class:`RefusedValueError`.
    """
    try:
        yield
    except DBAPIError as err:
        if _is_of_values(err):
            raise RefusedValueError(
                f"the ledger refuses what it is to keep: {type(err.orig).__name__}: {err.orig}"
            ) from err
        raise StorageError(
            f"the ledger cannot be used: {type(err.orig).__name__}: {err.orig}; "
            "check PRESAGIO_DATABASE_URL and that PostgreSQL is up"
        ) from err
    except PoolTimeoutError as err:
        raise StorageError(
            "the ledger cannot be used: all connections of this program are in use; try again, and "
            "look whether PostgreSQL is slow"
        ) from err


def _is_of_values(err: DBAPIError) -> bool:
    code = getattr(err.orig, "sqlstate", None)
    # The driver's refusals, such as of a NUL in text, have no code.
    return str(code).startswith(_REFUSALS) if code else isinstance(err.orig, psycopg.DataError)
