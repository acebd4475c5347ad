"""Passwords and secrets are verified, so many a minute and no more."""

import logging
import math
from http import HTTPStatus

from presagio.errors import SettingsError, StorageError
from presagio.serving.auth.accounts import Account, Accounts, Kind
from presagio.serving.auth.attempts import Attempts, Elsewhere, TooManyAttemptsError
from presagio.serving.auth.built_in_users import BuiltInUsers
from presagio.serving.auth.shared_accounts import added_accounts
from presagio.serving.auth.shared_attempts import SharedAttempts
from presagio.serving.executors import Executor, Executors
from presagio.serving.http.problems import RefusedError
from presagio.serving.shared.database import Database
from presagio.settings import Settings

_log = logging.getLogger(__name__)
_LONGEST_NAME = 200
_BUSY_S, _RETRY_S = 1.0, 5


def _too_many(wait_s: float) -> RefusedError:
    return RefusedError(
        HTTPStatus.TOO_MANY_REQUESTS, "too-many-attempts", "Too many attempts",
        "wrong passwords are limited; try again later",
        headers={"Retry-After": str(math.ceil(wait_s))},
    )  # fmt: skip


def _unknown_now(err: SettingsError | StorageError) -> RefusedError:
    # What is wrong with file or database is the operator's to know.
    _log.error("accounts that were added cannot sign in now: %s", err)
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE, "accounts-unavailable", "Accounts cannot be read now",
        "accounts that were added are not known at the moment; the log of the API says why",
        headers={"Retry-After": str(_RETRY_S)},
    )  # fmt: skip


class Passwords:
    """Verifies passwords and secrets.

    Parameters
    ----------
    settings
        The built-in accounts, and the limits.
    executors
        The threads that verify, and those that ask the database.
    database
        What replicas share; None where there is one replica.
    """

    def __init__(self, settings: Settings, executors: Executors, database: Database | None) -> None:
        self._accounts = Accounts(settings, added_accounts(settings, database))
        elsewhere = self._built_in = None
        if database is not None:
            self._built_in = BuiltInUsers(settings, database)
            limits = settings.token_attempts, settings.token_account_attempts
            elsewhere = Elsewhere(SharedAttempts(database, *limits), executors.sign_ins)
        self._attempts = Attempts(settings, elsewhere=elsewhere)
        self._executor: Executor = executors.passwords

    async def verify(self, kind: Kind, name: str, secret: str, address: str) -> Account | None:
        """Return the account whose secret this is.

        Raises
        ------
        RefusedError
            429, if there were too many wrong ones, or too many are being verified; 503, if accounts
            that were added are not known now.
        """
        if self._executor.full:
            raise _too_many(_BUSY_S)
        try:
            async with self._attempts.attempt(f"{kind} {name[:_LONGEST_NAME]}", address) as attempt:
                account = await self._executor.run(self._verify, kind, name, secret)
                attempt.right = account is not None
        except TooManyAttemptsError as err:
            raise _too_many(err.wait_s) from err
        except (SettingsError, StorageError) as err:
            raise _unknown_now(err) from err
        return account

    def _verify(self, kind: Kind, name: str, secret: str) -> Account | None:
        if self._built_in is not None:
            # Where this was not possible as the process started.
            self._built_in.note()
        return self._accounts.verify(kind, name, secret)
