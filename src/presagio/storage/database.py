"""Connections to the PostgreSQL database of the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from presagio.errors import StorageError
from presagio.settings import Settings
from presagio.settings.private import reveal

_CONNECTIONS = 4


def open_database(settings: Settings) -> Engine:
    """Open the ledger's database.

    Connections are kept while the process lives, since PostgreSQL's password check costs more than
    filing a small object does; each is tried before its use, so a restarted PostgreSQL is met.
    Behind a pooler no statement is prepared: the next transaction may have another connection.
    """
    url = reveal(settings.database_url, "PRESAGIO_DATABASE_URL")
    unprepared = {"prepare_threshold": None} if settings.database_pooled else {}
    return create_engine(
        url,
        pool_size=_CONNECTIONS,
        max_overflow=_CONNECTIONS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, **unprepared},
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn what PostgreSQL refuses, or its absence, into :class:`StorageError`."""
    try:
        yield
    except DBAPIError as err:
        raise StorageError(
            f"the ledger cannot be used: {type(err.orig).__name__}: {err.orig}; "
            "check PRESAGIO_DATABASE_URL and that PostgreSQL is up"
        ) from err
