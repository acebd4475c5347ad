"""The inference API as its client: a token for commands and DAGs, and what they ask with it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from presagio.errors import SettingsError, StackError
from presagio.settings import Settings
from presagio.settings.private import reveal

_log = logging.getLogger(__name__)
_TOKEN_LIMIT_S = 10.0
_RELOAD_LIMIT_S = 60.0


@contextmanager
def reaching(settings: Settings) -> Iterator[None]:
    """Turn a refusal of the API, or its absence, into :class:`StackError`."""
    try:
        yield
    except httpx.HTTPStatusError as err:
        answer = err.response
        raise StackError(
            f"{answer.request.url} answers {answer.status_code}: {answer.text}"
        ) from err
    except httpx.HTTPError as err:
        raise StackError(
            f"no API answers at {settings.api_url} ({err}); start the stack: presagio up"
        ) from err


def fetch_token(settings: Settings, scope: str = "") -> dict[str, Any]:
    """Ask the API for a token, as the client that the settings name.

    Parameters
    ----------
    settings
        The API's address, the client's name and secret.
    scope
        Scopes with spaces between; all that the client has when empty.

    Returns
    -------
    dict
        ``access_token``, ``expires_in`` in seconds, ``scope``.

    Raises
    ------
    httpx.HTTPError
        If the API does not answer, or refuses.
    SettingsError
        If there is no client secret.
    """
    secret = reveal(settings.client_secret, "PRESAGIO_CLIENT_SECRET")
    form = {"grant_type": "client_credentials", "scope": scope}
    answer = httpx.post(
        f"{settings.api_url}/token",
        data=form,
        auth=(settings.client_id, secret),
        timeout=_TOKEN_LIMIT_S,
    )
    return dict(answer.raise_for_status().json())


def ask_for_user(
    settings: Settings, name: str, password: str, client: str, asker: Mapping[str, str]
) -> httpx.Response:
    """Ask the API for a token with a user's password, on behalf of who is at another address.

    Parameters
    ----------
    settings
        The API's address.
    name, password
        As the user gave them.
    client
        The user's address, by which the API counts wrong passwords instead of the asker's own.
    asker
        The header with the asker's token, which has the scope ``admin``.

    Returns
    -------
    httpx.Response
        The API's answer: 200 with a token, 400 where the password is wrong, 401 where the asker's
        token is not good, 429 after too many.

    Raises
    ------
    httpx.HTTPError
        If the API does not answer.
    """
    headers = {"Presagio-Client-Address": client, **asker}
    form = {"grant_type": "password", "username": name, "password": password}
    return httpx.post(
        f"{settings.api_url}/token", data=form, headers=headers, timeout=_TOKEN_LIMIT_S
    )


def authorization(settings: Settings, scope: str = "") -> dict[str, str]:
    """Return the header that a request to the API needs; none where the API asks for none.

    Raises
    ------
    httpx.HTTPError, SettingsError
        As of :func:`fetch_token`.
    """
    if settings.auth == "off":
        return {}
    return {"Authorization": f"Bearer {fetch_token(settings, scope)['access_token']}"}


def reload_champion(settings: Settings) -> dict[str, Any]:
    """Have the API look at the champion's alias now, and return what it serves then.

    Raises
    ------
    httpx.HTTPError, SettingsError
        As of :func:`fetch_token`.
    """
    answer = httpx.post(
        f"{settings.api_url}{settings.fleet_route}/model/reload",
        headers=authorization(settings, "admin"),
        timeout=_RELOAD_LIMIT_S,
    )
    return dict(answer.raise_for_status().json())


def announce_champion(settings: Settings) -> dict[str, Any]:
    """Have the API look at the champion's alias now, where it can be reached.

    It also does so by itself, so that it is no error where it cannot.

    Returns
    -------
    dict
        What the API serves then: ``model``, ``version``, ``degraded``; or why it is not known, as
        ``unreachable``.
    """
    try:
        ready = reload_champion(settings)
    except (httpx.HTTPError, SettingsError) as err:
        _log.warning("the API was not reached, it follows the champion by itself: %s", err)
        return {"unreachable": str(err)}
    _log.info("the API serves %s version %s", ready["model"], ready["version"])
    return {name: ready[name] for name in ("model", "version", "degraded")}
