"""Sign-in: the API verifies the password, since it has the accounts and counts wrong attempts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import httpx

from presagio.console.sessions import ADMIN, OPERATE, VIEW, Session, Sessions
from presagio.errors import StackError
from presagio.jobs.api_client import ask_for_user
from presagio.settings import Settings

_SCOPES = frozenset({VIEW, OPERATE, ADMIN})
_EVERYBODY = "everybody"


@dataclass(frozen=True)
class NotSignedIn:
    """Why somebody is not signed in.

    Attributes
    ----------
    reason
        ``wrong`` name or password, ``busy`` after too many attempts, ``scope`` of an account that
        may not see the console.
    wait_s
        After how many seconds the next attempt is heard.
    """

    reason: str
    wait_s: int = 0


def _seconds(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 60


def sign_in(
    settings: Settings, sessions: Sessions, name: str, password: str, client: str
) -> Session | NotSignedIn:
    """Begin a session for who knows the password.

    Parameters
    ----------
    client
        The address of who asks, by which the API counts wrong attempts.

    Raises
    ------
    StackError
        If the API does not answer.
    StorageError
        If the database is unavailable.
    """
    if "\0" in name:
        return NotSignedIn("wrong")
    # Before the password is verified: one that changes in between ends the session at once.
    changed_at = sessions.account_changed_at(name)
    try:
        answer = ask_for_user(settings, name, password, client)
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


def let_everybody_in(sessions: Sessions) -> Session:
    """Begin a session where the settings say that nobody needs a password.

    Raises
    ------
    StorageError
        If the database is unavailable.
    """
    return sessions.begin(_EVERYBODY, _SCOPES, None)
