"""Who is signed in: sessions are rows of PostgreSQL, so that all replicas know them.

A row holds the SHA-256 of the secret in the visitor's cookie, so that who reads the table cannot
use it. A session ends when nobody uses it, after some hours in any case, when its visitor signs
out, and when its account is removed or gets another secret or other scopes.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.errors import StorageError
from presagio.settings import Settings
from presagio.storage.database import translated

# Scopes of the console, and what has them all.
VIEW, OPERATE, ADMIN = "view", "operate", "admin"
_SECRET_BYTES = 32
_MOST_REMEMBERED = 4096
# A session's last use is written down this often.
_TOUCH = sa.text("interval '1 minute'")
_SESSIONS = sa.table(
    "console_sessions",
    sa.column("digest", sa.LargeBinary),
    sa.column("name", sa.Text),
    sa.column("scopes", ARRAY(sa.Text)),
    sa.column("account_changed_at", sa.DateTime(timezone=True)),
    sa.column("created_at", sa.DateTime(timezone=True)),
    sa.column("used_at", sa.DateTime(timezone=True)),
)
# Of people whom settings name; the API takes them before those that were added.
_BUILT_IN = sa.table(
    "api_built_in_users",
    sa.column("name", sa.Text),
    sa.column("changed_at", sa.DateTime(timezone=True)),
)
_ACCOUNTS = sa.table(
    "api_accounts",
    sa.column("kind", sa.Text),
    sa.column("name", sa.Text),
    sa.column("changed_at", sa.DateTime(timezone=True)),
)


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in.

    Attributes
    ----------
    name
        The account's name.
    scopes
        What it may do.
    secret
        What its cookie holds.
    is_certain
        Whether the database has confirmed it just now; if not, it may look and change nothing.
    """

    name: str
    scopes: frozenset[str]
    secret: str = field(repr=False)
    is_certain: bool = True

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope; ``admin`` has all."""
        return scope in self.scopes or ADMIN in self.scopes


def _changed_at(name: str | sa.ColumnElement[str]) -> sa.ColumnElement[datetime]:
    """Return the expression for when an account got its secret."""
    built_in = sa.select(_BUILT_IN.c.changed_at).where(_BUILT_IN.c.name == name)
    added = sa.select(_ACCOUNTS.c.changed_at).where(
        _ACCOUNTS.c.kind == "user", _ACCOUNTS.c.name == name
    )
    return sa.func.coalesce(built_in.scalar_subquery(), added.scalar_subquery())


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class Sessions:
    """The sessions in the database.

    Parameters
    ----------
    engine
        The ledger's database.
    settings
        How long a session lasts.
    """

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._idle = sa.func.make_interval(0, 0, 0, 0, 0, 0, settings.console_idle_minutes * 60)
        self._whole = sa.func.make_interval(0, 0, 0, 0, 0, 0, settings.console_session_hours * 3600)
        # What goes on while the database is unavailable: until then, as if nobody used it.
        self._seen: OrderedDict[bytes, tuple[float, Session]] = OrderedDict()
        self._idle_s = settings.console_idle_minutes * 60
        self._lock = Lock()

    def _remember(self, key: bytes, session: Session | None) -> None:
        with self._lock:
            self._seen.pop(key, None)
            if session is not None:
                self._seen[key] = time.monotonic() + self._idle_s, session
                if len(self._seen) > _MOST_REMEMBERED:
                    self._seen.popitem(last=False)

    def _lives(self) -> list[sa.ColumnElement[bool]]:
        table = _SESSIONS.c
        return [
            table.used_at > sa.func.now() - self._idle,
            table.created_at > sa.func.now() - self._whole,
            _changed_at(table.name).is_not_distinct_from(table.account_changed_at),
        ]

    def account_changed_at(self, name: str) -> datetime | None:
        """Return when an account got its secret; None where nobody knows.

        Raises
        ------
        StorageError
            If the database is unavailable.
        """
        with translated(), self._engine.connect() as connection:
            found: datetime | None = connection.scalar(sa.select(_changed_at(name)))
        return found

    def begin(self, name: str, scopes: Iterable[str], changed_at: datetime | None) -> Session:
        """Begin a session.

        Parameters
        ----------
        name, scopes
            The account.
        changed_at
            What :meth:`account_changed_at` said before the password was verified.

        Raises
        ------
        StorageError
            If the database is unavailable.
        """
        session = Session(name, frozenset(scopes), secrets.token_urlsafe(_SECRET_BYTES))
        values = {
            "digest": _digest(session.secret), "name": name, "scopes": sorted(session.scopes),
            "account_changed_at": changed_at,
        }  # fmt: skip
        with translated(), self._engine.begin() as connection:
            connection.execute(sa.delete(_SESSIONS).where(~sa.and_(*self._lives())))
            connection.execute(sa.insert(_SESSIONS).values(**values))
        return session

    def find(self, secret: str, *, is_use: bool = True) -> Session | None:
        """Return the session of a cookie; None where there is none, or none any more.

        Parameters
        ----------
        secret
            What the cookie holds.
        is_use
            Whether it prolongs the session.

        Raises
        ------
        StorageError
            If the database is unavailable, and this process has not seen the session before, or so
            long ago that it would have ended.
        """
        key = _digest(secret)
        try:
            row = self._look_up(key, is_use=is_use)
        except StorageError:
            with self._lock:
                until, known = self._seen.get(key, (0.0, None))
            if known is None or time.monotonic() >= until:
                raise
            return replace(known, is_certain=False)
        session = Session(row.name, frozenset(row.scopes), secret) if row is not None else None
        self._remember(key, session)
        return session

    def _look_up(self, key: bytes, *, is_use: bool) -> sa.Row[Any] | None:
        table = _SESSIONS.c
        wanted = sa.select(
            table.name, table.scopes, (table.used_at < sa.func.now() - _TOUCH).label("is_old")
        ).where(table.digest == key, *self._lives())
        with translated(), self._engine.begin() as connection:
            row = connection.execute(wanted).one_or_none()
            if row is not None and row.is_old and is_use:
                touched = sa.update(_SESSIONS).where(table.digest == key)
                connection.execute(touched.values(used_at=sa.func.now()))
        return row

    def end(self, secret: str) -> None:
        """End a session.

        Raises
        ------
        StorageError
            If the database is unavailable.
        """
        key = _digest(secret)
        self._remember(key, None)
        with translated(), self._engine.begin() as connection:
            connection.execute(sa.delete(_SESSIONS).where(_SESSIONS.c.digest == key))
