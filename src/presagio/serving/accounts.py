"""Who may ask for a token: users and clients, by Argon2 hashes of their secrets."""

import os
import threading
import time
from collections import defaultdict, deque
from functools import cached_property
from pathlib import Path
from typing import Literal

from pwdlib import PasswordHash
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from presagio.errors import SettingsError
from presagio.serving.tokens import SCOPES, Scope
from presagio.settings import Settings
from presagio.settings.private import write_private

Kind = Literal["user", "client"]
_WINDOW_S = 60.0
_MOST_REMEMBERED = 10_000


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
        own: list[tuple[str, Kind, SecretStr | None, tuple[Scope, ...]]] = [
            ("admin", "user", settings.admin_password, every),
            (settings.client_id, "client", settings.client_secret, every),
            ("prometheus", "client", settings.metrics_secret, none),
        ]
        self._named = tuple(own)
        # Each verification takes 64 MiB: one at a time.
        self._verifying = threading.Lock()

    @cached_property
    def _own(self) -> tuple[Account, ...]:
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
        """Return the account whose secret this is. Takes some 30 ms: not for the event loop."""
        with self._verifying:
            known = {(a.kind, a.name): a for a in (*read_accounts(self._file), *self._own)}
            found = known.get((kind, name))
            fits = self._hasher.verify(secret, found.hash if found else self._nobody)
        return found if fits else None


class Attempts:
    """Counts failed attempts in the last minute, by whatever they are told apart by."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed: defaultdict[str, deque[float]] = defaultdict(deque)

    def wait_s(self, *keys: str) -> float:
        """Return the seconds until the next attempt is heard; 0 if it is now."""
        now = time.monotonic()
        longest = 0.0
        for key in keys:
            failed = self._failed.get(key)
            while failed and now - failed[0] > _WINDOW_S:
                failed.popleft()
            if failed is not None and not failed:
                del self._failed[key]
            elif failed and len(failed) >= self._most:
                longest = max(longest, _WINDOW_S - (now - failed[0]))
        return longest

    def failed(self, *keys: str) -> None:
        """Count a failed attempt."""
        if len(self._failed) > _MOST_REMEMBERED:
            self._failed.clear()
        for key in keys:
            self._failed[key].append(time.monotonic())
