"""Sign-in: the API verifies the password, since it has the accounts and counts wrong attempts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from threading import BoundedSemaphore

import httpx

from presagio.console.sessions import ADMIN, OPERATE, VIEW, Session, Sessions
from presagio.console.tokens import Tokens
from presagio.errors import StackError
from presagio.jobs.api_client import ask_for_user
from presagio.settings import Settings
from presagio.settings.sign_in import OIDC_PREFIX

_SCOPES = frozenset({VIEW, OPERATE, ADMIN})
_EVERYBODY = "everybody"
# Passwords that are verified at a time: whoever sends more of them keeps no page from being shown.
_AT_ONCE, _BUSY_S = 8, 2
_turns = BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True)
class NotSignedIn:
    """Why somebody is not signed in.

    Attributes
    ----------
    reason
        ``wrong`` name or password, ``busy`` after too many attempts, ``crowded`` while others sign
        in, ``scope`` of an account that may not see the console.
    wait_s
        After how many seconds the next attempt is heard.
    """

    reason: str
    wait_s: int = 0


def _seconds(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 60


def sign_in(
    settings: Settings, sessions: Sessions, tokens: Tokens, name: str, password: str, client: str
) -> Session | NotSignedIn:
    """Begin a session for who knows the password.

    Parameters
    ----------
    tokens
        What the API is asked with.
    client
        The address of who asks, by which the API counts wrong attempts.

    Raises
    ------
    StackError
        If the API does not answer.
    StorageError
        If the database is unavailable.
    """
    # Nobody with a password has the name of somebody from the identity provider.
    if "\0" in name or name.startswith(OIDC_PREFIX):
        return NotSignedIn("wrong")
    if not _turns.acquire(blocking=False):
        return NotSignedIn("crowded", _BUSY_S)
    try:
        return _sign_in(settings, sessions, tokens, name, password, client)
    finally:
        _turns.release()


def _sign_in(
    settings: Settings, sessions: Sessions, tokens: Tokens, name: str, password: str, client: str
) -> Session | NotSignedIn:
    # Before the password is verified: one that changes in between ends the session at once.
    changed_at = sessions.account_changed_at(name)
    try:
        answer = ask_for_user(settings, name, password, client, tokens.header(ADMIN))
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            header = tokens.header(ADMIN, anew=True)
            answer = ask_for_user(settings, name, password, client, header)
    except httpx.HTTPError as err:
        raise StackError(f"no API answers at {settings.api_url}: {err}") from err
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return NotSignedIn("busy", _seconds(answer.headers.get("retry-after")))
    if answer.status_code == HTTPStatus.BAD_REQUEST:
        return NotSignedIn("wrong")
    if answer.is_error:
        raise StackError(f"{answer.request.url} answers {answer.status_code}: {answer.text[:200]}")
    return _begin(sessions, name, str(answer.json()["scope"]).split(), changed_at)


def _begin(
    sessions: Sessions, name: str, granted: Iterable[str], changed_at: datetime | None
) -> Session | NotSignedIn:
    scopes = _SCOPES.intersection(granted)
    if not scopes & {VIEW, ADMIN}:
        return NotSignedIn("scope")
    return sessions.begin(name, scopes, changed_at)


def everybody(secret: str) -> Session:
    """Return the session of whoever asks where the settings say that nobody needs a password.

    It is kept nowhere: a cookie for the forms is all that there is of it.

    Parameters
    ----------
    secret
        What the visitor's cookie holds.
    """
    return Session(_EVERYBODY, _SCOPES, secret)
