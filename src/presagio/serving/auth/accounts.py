"""Who may ask for a token: users and clients, by Argon2 hashes of their secrets."""

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pwdlib import PasswordHash
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from presagio.errors import SettingsError
from presagio.serving.auth.tokens import SCOPES, Scope
from presagio.settings import Settings
from presagio.settings.private import write_private

Kind = Literal["user", "client"]


class Account(BaseModel):
    """A user or a client, the hash of its secret, and what it may ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    hash: str
    scopes: tuple[Scope, ...]


_ACCOUNTS = TypeAdapter(tuple[Account, ...])


def read_accounts(path: Path) -> tuple[Account, ...]:
    """Read the accounts that were added by hand.

    Raises
    ------
    SettingsError
        If the file is none of accounts.
    """
    try:
        return _ACCOUNTS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as err:
        raise SettingsError(f"{path} cannot be read as accounts: {err}") from err


def write_accounts(path: Path, accounts: tuple[Account, ...]) -> None:
    """Write the accounts, for their owner only."""
    write_private(path, _ACCOUNTS.dump_json(accounts, indent=1).decode())


def make_account(name: str, kind: Kind, secret: str, scopes: tuple[Scope, ...]) -> Account:
    """Return an account with the hash of its secret."""
    hashed = PasswordHash.recommended().hash(secret)
    return Account(name=name, kind=kind, hash=hashed, scopes=scopes)


class Accounts:
    """The accounts of the settings and of the file, which is read again when it changes."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHash.recommended()
        self._file = settings.accounts_file
        every, none = tuple(SCOPES), ()
        built_in: list[tuple[str, Kind, SecretStr | None, tuple[Scope, ...]]] = [
            ("admin", "user", settings.admin_password, every),
            (settings.client_id, "client", settings.client_secret, every),
            ("prometheus", "client", settings.metrics_secret, none),
        ]
        self._named = tuple(built_in)

    @cached_property
    def _built_in(self) -> tuple[Account, ...]:
        return tuple(
            make_account(name, kind, secret.get_secret_value(), scopes)
            for name, kind, secret, scopes in self._named
            if secret is not None
        )

    @cached_property
    def _nobody(self) -> str:
        """Verified when there is no such account, so that the time to answer does not tell."""
        return self._hasher.hash(os.urandom(16).hex())

    def verify(self, kind: Kind, name: str, secret: str) -> Account | None:
        """Return the account whose secret this is.

        Takes some 30 ms, 64 MiB and all processors: in a thread of its own, one at a time.
        """
        known = {(a.kind, a.name): a for a in (*read_accounts(self._file), *self._built_in)}
        found = known.get((kind, name))
        fits = self._hasher.verify(secret, found.hash if found else self._nobody)
        return found if fits else None
