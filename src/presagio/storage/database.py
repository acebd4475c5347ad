"""Connections to the PostgreSQL database of the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from presagio.errors import RefusedValueError, StorageError
from presagio.settings import Settings
from presagio.settings.private import reveal

_CONNECTIONS = 4
# Classes of PostgreSQL's error codes: a value that no column takes, a rule that it breaks, a limit
# that it goes beyond, such as the longest text in an index.
_REFUSALS = ("22", "23", "54")


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


def _is_of_values(err: DBAPIError) -> bool:
    code = getattr(err.orig, "sqlstate", None)
    # The driver's refusals, such as of a NUL in text, have no code.
    return str(code).startswith(_REFUSALS) if code else isinstance(err.orig, psycopg.DataError)
