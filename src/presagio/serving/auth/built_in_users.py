"""Since when people whom settings name have their password, for whoever keeps sessions of theirs.

An account that was added says so in its row. The password of a built-in one is a setting: a process
that starts with another one than those before it writes down that it has changed.
"""

import contextlib

from pwdlib import PasswordHash
from pydantic import SecretStr

from presagio.serving.auth.accounts import built_in_users
from presagio.serving.shared.database import Database, SharedStateError
from presagio.settings import Settings

# As often as others may write at the same moment.
_TRIES = 5


class BuiltInUsers:
    """Writes down what passwords built-in users have, once a process.

    Parameters
    ----------
    settings
        The passwords.
    database
        What replicas and the console share.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._passwords = built_in_users(settings)
        self._database, self._hasher = database, PasswordHash.recommended()
        self._is_noted = False

    def note(self) -> None:
        """Write it down, unless this was done; later, while the database is unavailable.

        Takes as long as to verify a password: in a thread of its own.
        """
        if self._is_noted:
            return
        with contextlib.suppress(SharedStateError):
            for name, password in self._passwords.items():
                self._note(name, password)
            self._is_noted = True

    def _note(self, name: str, password: SecretStr | None) -> None:
        if password is None:
            with self._database.connection() as connection:
                connection.execute("DELETE FROM api_built_in_users WHERE name = %s", (name,))
            return
        for _ in range(_TRIES):
            known = self._hash(name)
            if known and self._hasher.verify(password.get_secret_value(), known):
                return
            # Another process may have done so since, with another hash of the same password.
            if self._replace(name, known, self._hasher.hash(password.get_secret_value())):
                return

    def _hash(self, name: str) -> str | None:
        with self._database.connection() as connection:
            row = connection.execute(
                "SELECT hash FROM api_built_in_users WHERE name = %s", (name,)
            ).fetchone()
        return None if row is None else str(row[0])

    def _replace(self, name: str, known: str | None, hashed: str) -> bool:
        with self._database.connection() as connection:
            if known is None:
                done = connection.execute(
                    "INSERT INTO api_built_in_users (name, hash) VALUES (%s, %s) "
                    "ON CONFLICT DO NOTHING", (name, hashed),
                )  # fmt: skip
            else:
                done = connection.execute(
                    "UPDATE api_built_in_users SET hash = %s, changed_at = now() "
                    "WHERE name = %s AND hash = %s", (hashed, name, known),
                )  # fmt: skip
            return done.rowcount == 1


def note_built_in_users(settings: Settings, database: Database) -> None:
    """Write down what passwords built-in users have, when a process starts."""
    BuiltInUsers(settings, database).note()
