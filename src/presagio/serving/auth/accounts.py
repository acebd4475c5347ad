"""Who may ask for a token: users and clients, by Argon2 hashes of their secrets.

Accounts that were added are rows of the database that replicas share, or else lines of a file.
"""

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

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


def parse_accounts(raw: bytes, source: Path) -> tuple[Account, ...]:
    """Return the accounts that a file's bytes are.

    Raises
    ------
    SettingsError
        If they are none; nothing of the file is in the message, which may hold hashes.
    """
    try:
        return _ACCOUNTS.validate_json(raw)
    except ValidationError as err:
        fault = err.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise SettingsError(
            f"{source} cannot be read as accounts: {place + ': ' if place else ''}{fault['msg']}; "
            "restore it, or remove it and add the accounts again (presagio account add)"
        ) from None


def read_accounts(path: Path) -> tuple[Account, ...]:
    """Read the accounts that were added by hand.

    Raises
    ------
    SettingsError
        If the file is none of accounts.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as err:
        raise SettingsError(f"{path} cannot be read as accounts: {err}") from err
    return parse_accounts(raw, path)


def write_accounts(path: Path, accounts: tuple[Account, ...]) -> None:
    """Write the accounts, for their owner only."""
    write_private(path, _ACCOUNTS.dump_json(accounts, indent=1).decode())


def make_account(name: str, kind: Kind, secret: str, scopes: tuple[Scope, ...]) -> Account:
    """Return an account with the hash of its secret."""
    hashed = PasswordHash.recommended().hash(secret)
    return Account(name=name, kind=kind, hash=hashed, scopes=scopes)


class AddedAccounts(Protocol):
    """Where accounts that were added are kept."""

    def find(self, kind: Kind, name: str) -> Account | None:
        """Return an account.

        Raises
        ------
        SettingsError
            If its file is damaged.
        StorageError
            If its database is unavailable, and it was not known before.
        """
        ...

    def all(self) -> tuple[Account, ...]:
        """Return all of them."""
        ...

    def put(self, account: Account) -> None:
        """Add an account, or give an existing one a new secret."""
        ...

    def remove(self, name: str) -> bool:
        """Remove the accounts of a name; say whether there were any."""
        ...


class AccountsFile:
    """Accounts in a file of mode 0600, which is read again each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, kind: Kind, name: str) -> Account | None:
        """Return an account."""
        return next((a for a in self.all() if (a.kind, a.name) == (kind, name)), None)

    def all(self) -> tuple[Account, ...]:
        """Return all of them."""
        return read_accounts(self._path)

    def put(self, account: Account) -> None:
        """Add an account, or give an existing one a new secret."""
        same = account.kind, account.name
        others = [known for known in self.all() if (known.kind, known.name) != same]
        write_accounts(self._path, (*others, account))

    def remove(self, name: str) -> bool:
        """Remove the accounts of a name; say whether there were any."""
        known = self.all()
        left = tuple(account for account in known if account.name != name)
        if len(left) < len(known):
            write_accounts(self._path, left)
        return len(left) < len(known)


def digest_of(raw: bytes) -> str:
    """Return what the file of accounts is known by, once it was imported."""
    return hashlib.sha256(raw).hexdigest()


def built_in_users(settings: Settings) -> dict[str, SecretStr | None]:
    """Return the passwords of the people whom settings name; None of one who has none."""
    return {"admin": settings.admin_password}


class Accounts:
    """The built-in accounts of the settings, and those that were added."""

    def __init__(self, settings: Settings, added: AddedAccounts | None = None) -> None:
        self._hasher = PasswordHash.recommended()
        self._added = added or AccountsFile(settings.accounts_file)
        every, none = tuple(SCOPES), ()
        built_in: list[tuple[str, Kind, SecretStr | None, tuple[Scope, ...]]] = [
            *((name, "user", secret, every) for name, secret in built_in_users(settings).items()),
            (settings.client_id, "client", settings.client_secret, every),
            ("prometheus", "client", settings.metrics_secret, none),
        ]
        self._named = tuple(built_in)

    @cached_property
    def _built_in(self) -> dict[tuple[Kind, str], Account]:
        return {
            (kind, name): make_account(name, kind, secret.get_secret_value(), scopes)
            for name, kind, secret, scopes in self._named
            if secret is not None
        }

    @cached_property
    def _nobody(self) -> str:
        """Verified when there is no such account, so that the time to answer does not tell."""
        return self._hasher.hash(os.urandom(16).hex())

    def verify(self, kind: Kind, name: str, secret: str) -> Account | None:
        """Return the account whose secret this is.

        Takes some 30 ms, 64 MiB and all processors: in a thread of its own, one at a time.

        Raises
        ------
        SettingsError, StorageError
            If it is no built-in account, and those that were added are not known now.
        """
        found = self._built_in.get((kind, name)) or self._added.find(kind, name)
        fits = self._hasher.verify(secret, found.hash if found else self._nobody)
        return found if fits else None
