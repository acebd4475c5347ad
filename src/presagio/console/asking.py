"""Asks the inference API for answers, as the console: with one token and one connection pool."""

import time
from threading import Lock
from typing import Any

import httpx

from presagio.errors import SettingsError, StackError
from presagio.jobs.api_client import fetch_token
from presagio.settings import Settings

_SCOPE = "predict"
_LIMIT_S = 15.0
# A token is not used in its last seconds.
_SPARE_S = 30.0


class Api:
    """The inference API; safe to use from several threads.

    Parameters
    ----------
    settings
        The API's address, the client's name and secret.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, Lock()
        self._client = httpx.Client(base_url=settings.api_url, timeout=_LIMIT_S)
        self._header: dict[str, str] = {}
        self._valid_until = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _authorization(self, *, anew: bool = False) -> dict[str, str]:
        if self._settings.auth == "off":
            return {}
        with self._lock:
            now = time.monotonic()
            if anew or now >= self._valid_until:
                token = fetch_token(self._settings, _SCOPE)
                self._header = {"Authorization": f"Bearer {token['access_token']}"}
                self._valid_until = now + float(token["expires_in"]) - _SPARE_S
            return self._header

    def ask(self, path: str, body: dict[str, Any], **query: str) -> httpx.Response:
        """Send a question, and return the answer, whatever it says.

        Raises
        ------
        StackError
            If the API does not answer, or there is no secret to ask with.
        """
        try:
            answer = self._client.post(
                path, json=body, params=query, headers=self._authorization()
            )  # fmt: skip
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                # The key that tokens are signed with may be another one.
                headers = self._authorization(anew=True)
                answer = self._client.post(path, json=body, params=query, headers=headers)
        except (httpx.HTTPError, SettingsError) as err:
            raise StackError(f"no answer from the API at {self._settings.api_url}: {err}") from err
        if answer.is_server_error:
            raise StackError(f"the API answers {answer.status_code}")
        return answer
