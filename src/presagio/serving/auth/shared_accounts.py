"""Accounts in the database that replicas share: one that is added is known to all at once.

Each sign-in asks the database. While it is unavailable, accounts that this process has seen there
before go on with the secret that they had; others have to wait.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from presagio.serving.auth.accounts import (
    Account,
    AccountsFile,
    AddedAccounts,
    Kind,
    digest_of,
    parse_accounts,
)
from presagio.serving.shared.database import Database, SharedStateError, open_shared_database
from presagio.settings import Settings

_log = logging.getLogger(__name__)
_COLUMNS = "name, kind, hash, scopes"
_MOST_SEEN = 1000


def _account(row: Any) -> Account:
    name, kind, hashed, scopes = row
    return Account(name=name, kind=kind, hash=hashed, scopes=tuple(scopes))


class SharedAccounts:
    """Accounts in a table.

    Parameters
    ----------
    database
        Where the table is.
    file
        The file of accounts of the time before there was a database: it is imported once, by its
        digest, whoever comes first; what the table has already stays.
    """

    def __init__(self, database: Database, file: Path) -> None:
        self._database, self._file = database, file
        self._lock, self._taken = threading.Lock(), False
        # What is answered while the database is unavailable.
        self._seen: dict[tuple[str, str], Account] = {}

    def find(self, kind: Kind, name: str) -> Account | None:
        """Return an account.

        Raises
        ------
        SharedStateError
            If the database is unavailable, and the account was not seen before.
        """
        if "\0" in name or not name.isprintable():
            # No account is called so, and some of it is no text to PostgreSQL.
            return None
        try:
            self.take_file()
            with self._database.connection() as connection:
                row = connection.execute(
                    f"SELECT {_COLUMNS} FROM api_accounts WHERE kind = %s AND name = %s",  # noqa: S608 - constants
                    (kind, name),
                ).fetchone()
        except SharedStateError:
            if (known := self._seen.get((kind, name))) is None:
                raise
            return known
        if row is None:
            self._seen.pop((kind, name), None)
            return None
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[kind, name] = _account(row)
        return self._seen[kind, name]

    def all(self) -> tuple[Account, ...]:
        """Return all of them, by name.

        Raises
        ------
        SharedStateError
            If the database is unavailable.
        """
        self.take_file()
        with self._database.connection() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM api_accounts ORDER BY name, kind"  # noqa: S608 - constants
            ).fetchall()
        return tuple(map(_account, rows))

    def put(self, account: Account) -> None:
        """Add an account, or give an existing one a new secret.

        Raises
        ------
        SharedStateError
            If the database is unavailable.
        """
        self.take_file()
        with self._database.connection() as connection:
            connection.execute(
                f"INSERT INTO api_accounts ({_COLUMNS}) VALUES (%s, %s, %s, %s) "  # noqa: S608 - constants
                "ON CONFLICT (kind, name) DO UPDATE SET hash = EXCLUDED.hash, "
                "scopes = EXCLUDED.scopes, changed_at = now()",
                (account.name, account.kind, account.hash, list(account.scopes)),
            )

    def remove(self, name: str) -> bool:
        """Remove the accounts of a name; say whether there were any.

        Raises
        ------
        SharedStateError
            If the database is unavailable.
        """
        self.take_file()
        with self._database.connection() as connection:
            done = connection.execute("DELETE FROM api_accounts WHERE name = %s", (name,))
            return done.rowcount > 0

    def take_file(self) -> None:
        """Import the file of accounts, if there is one that was not imported before.

        A damaged file is logged, and keeps nobody out who is in the table.

        Raises
        ------
        SharedStateError
            If the database is unavailable; it is tried again the next time.
        """
        with self._lock:
            if self._taken:
                return
            try:
                raw = self._file.read_bytes()
                accounts = parse_accounts(raw, self._file)
            except FileNotFoundError:
                self._taken = True
                return
            except Exception as err:  # noqa: BLE001 - see above
                _log.error("accounts are not imported: %s", err)
                self._taken = True
                return
            self._import(digest_of(raw), accounts)
            self._taken = True

    def _import(self, digest: str, accounts: tuple[Account, ...]) -> None:
        with self._database.connection() as connection:
            first = connection.execute(
                "INSERT INTO api_account_files (sha256) VALUES (%s) ON CONFLICT DO NOTHING",
                (digest,),
            ).rowcount
            if not first:
                return
            kept = [
                account.name
                for account in accounts
                if not connection.execute(
                    f"INSERT INTO api_accounts ({_COLUMNS}) VALUES (%s, %s, %s, %s) "  # noqa: S608 - constants
                    "ON CONFLICT DO NOTHING",
                    (account.name, account.kind, account.hash, list(account.scopes)),
                ).rowcount
            ]
        _log.info("%d accounts of %s are in the database now", len(accounts), self._file)
        if kept:
            _log.warning("of these the database had others, which stay: %s", ", ".join(kept))


def added_accounts(settings: Settings, database: Database | None) -> AddedAccounts:
    """Return where accounts that were added are kept: the database, or a file where there is none.

    Parameters
    ----------
    settings
        Name the file.
    database
        What replicas share.
    """
    if database is None:
        return AccountsFile(settings.accounts_file)
    return SharedAccounts(database, settings.accounts_file)


@contextlib.contextmanager
def opened_accounts(settings: Settings) -> Iterator[AddedAccounts]:
    """Open the accounts where the settings say that they are kept, for a program that ends soon.

    Raises
    ------
    SettingsError
        If the setting of the database is no address.
    """
    database = open_shared_database(settings)
    try:
        yield added_accounts(settings, database)
    finally:
        if database is not None:
            database.close()


def import_accounts(settings: Settings, database: Database) -> None:
    """Import the file of accounts when a process starts; done later where that is not possible."""
    with contextlib.suppress(SharedStateError):
        SharedAccounts(database, settings.accounts_file).take_file()
