"""The database that replicas of the API share: few connections, and none that is waited for long.

PostgreSQL may be unavailable, or take a connection and never answer. Whoever asks it gets an error
within a second or two, and within a moment while it is known to be unavailable; what to do then is
for the caller to say. Nothing here runs on the event loop.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from presagio.errors import SettingsError, StorageError
from presagio.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

    Rows = Connection[Any]

_log = logging.getLogger(__name__)
# Work of four requests at a time, and sign-ins beside it.
_MOST = 8
_MOST_WAITING = 16
# To get a connection; to have a statement answered; until it is tried again after a failure.
_CONNECT_S = 2.0
ANSWER_S = 2.0
# To see that a connection which was idle is still good, with time left to make another.
_CHECK_S = 0.8
_QUIET_S = 3.0
_IDLE_S = 120.0
_SELDOM_S = 60.0
# How a process connects, whatever for: a server that is gone without a word holds a connection no
# longer than so, and without prepared statements a pooler in between may be of any kind.
CONNECTION: dict[str, Any] = {
    "connect_timeout": 2, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 5000, "prepare_threshold": None, "application_name": "presagio-api",
}  # fmt: skip
# What a replica leaves undone, PostgreSQL ends: a lock is not held by who is stopped or cut off. Of
# the transaction, and not of the session, which a pooler may give to others.
_LIMITS = (
    "SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '1s'; "
    "SET LOCAL idle_in_transaction_session_timeout = '30s'"
)


class _Seldom(logging.Filter):
    """Lets a line through once a minute: the pool says each attempt that failed, and why."""

    _last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is logged."""
        if record.levelno < logging.WARNING or time.monotonic() - self._last < _SELDOM_S:
            return False
        self._last = time.monotonic()
        return True


_SELDOM = _Seldom()


class SharedStateError(StorageError):
    """The database that replicas share cannot be used now."""


class HeldError(SharedStateError):
    """Somebody else has held a lock for too long; the database itself is well."""


def database_address(settings: Settings) -> str | None:
    """Return the address of the API's database as libpq takes it; None where there is none.

    Raises
    ------
    SettingsError
        If the setting is no address of a PostgreSQL database.
    """
    if settings.api_database_url is None or not settings.api_database_url.get_secret_value():
        return None
    scheme, mark, rest = settings.api_database_url.get_secret_value().partition("://")
    # As SQLAlchemy names the driver, which settings beside this one do.
    if not mark or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise SettingsError("PRESAGIO_API_DATABASE_URL is not like postgresql://USER:PASSWORD@HOST")
    return f"postgresql://{rest}"


class Database:
    """Connections of one process to the database that replicas share.

    Parameters
    ----------
    address
        As libpq takes it.
    """

    def __init__(self, address: str) -> None:
        self._address, self._opening = address, threading.Lock()
        self._pool: ConnectionPool[Rows] | None = None
        self._failed_at = float("-inf")
        self._reported = False

    @property
    def available(self) -> bool:
        """Whether it answered when it was last asked, or may again by now."""
        return time.monotonic() - self._failed_at >= _QUIET_S

    @contextlib.contextmanager
    def connection(self, answer_s: float = ANSWER_S) -> "Iterator[Rows]":
        """Give a connection for one transaction, which is committed unless something is raised.

        Parameters
        ----------
        answer_s
            Seconds after which the connection is cut, if the transaction has not ended by then.

        Raises
        ------
        SharedStateError
            If the database cannot be used now.
        HeldError
            If somebody else has held a lock for too long.
        """
        import psycopg  # noqa: PLC0415 - only where there is a database

        if not self.available:
            raise SharedStateError("the database that replicas share was unavailable a moment ago")
        try:
            with (
                self._opened().connection(timeout=_CONNECT_S) as connection,
                _cut_after(connection, answer_s),
                # Begun and ended here, so that a commit that hangs is cut off too.
                connection.transaction(),
            ):
                connection.execute(_LIMITS)
                yield connection
        except psycopg.Error as err:
            if isinstance(err, psycopg.errors.LockNotAvailable):
                raise HeldError("somebody else has held a lock for too long") from err
            if not isinstance(err, psycopg.DataError):
                # Also where a table is missing: whoever asks next need not find that out again.
                self._failed_at = time.monotonic()
            if not self._reported:
                self._reported = True
                _log.warning("the database that replicas share cannot be used: %s", err)
            raise SharedStateError(
                f"the database that replicas share cannot be used ({type(err).__name__}); check "
                "PRESAGIO_API_DATABASE_URL and that PostgreSQL is up"
            ) from err
        if self._reported:
            self._reported = False
            _log.info("the database that replicas share answers again")

    def _opened(self) -> "ConnectionPool[Rows]":
        with self._opening:
            if self._pool is None:
                from psycopg_pool import ConnectionPool  # noqa: PLC0415 - see above

                logging.getLogger("psycopg.pool").addFilter(_SELDOM)
                self._pool = ConnectionPool(
                    self._address, kwargs=dict(CONNECTION), min_size=0, max_size=_MOST,
                    num_workers=1, max_waiting=_MOST_WAITING, max_idle=_IDLE_S,
                    reconnect_timeout=_CONNECT_S, check=_check, open=True, name="presagio-api",
                )  # fmt: skip
            return self._pool

    def close(self) -> None:
        """Close all connections."""
        with self._opening:
            if self._pool is not None:
                self._pool.close(timeout=_CONNECT_S)
                self._pool = None


@contextlib.contextmanager
def _cut_after(connection: "Rows", seconds: float) -> Iterator[None]:
    """Cut a connection whose server does not answer: libpq waits for an answer without end."""

    def cut() -> None:
        with contextlib.suppress(OSError), socket.socket(fileno=_copy(connection)) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _check(connection: "Rows") -> None:
    """See that a connection is good, and do not wait for one that hangs."""
    from psycopg_pool import ConnectionPool  # noqa: PLC0415 - only where there is a database

    with _cut_after(connection, _CHECK_S):
        ConnectionPool.check_connection(connection)


def _copy(connection: "Rows") -> int:
    # A copy: what is closed with the socket object is not libpq's descriptor.
    return os.dup(connection.fileno())


def open_shared_database(settings: Settings) -> Database | None:
    """Return the database that replicas share; None where the settings name none.

    Nothing is connected yet.

    Raises
    ------
    SettingsError
        If the setting is no address, or psycopg is missing.
    """
    address = database_address(settings)
    if address is None:
        return None
    try:
        import psycopg  # noqa: F401, PLC0415 - of an extra
    except ImportError as err:
        raise SettingsError(
            "PRESAGIO_API_DATABASE_URL is set and psycopg is missing; install presagio[api]"
        ) from err
    return Database(address)
