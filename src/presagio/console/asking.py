"""Asks the inference API for answers, as the console: with one token and one connection pool."""

from typing import Any

import httpx

from presagio.console.tokens import Tokens
from presagio.errors import SettingsError, StackError
from presagio.settings import Settings

_SCOPE = "predict"
_LIMIT_S = 15.0


class Api:
    """The inference API; safe to use from several threads.

    Parameters
    ----------
    settings
        The API's address.
    tokens
        What it is asked with.
    """

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._settings, self._tokens = settings, tokens
        self._client = httpx.Client(base_url=settings.api_url, timeout=_LIMIT_S)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, path: str, body: dict[str, Any], **query: str) -> httpx.Response:
        """Send a question, and return the answer, whatever it says.

        Raises
        ------
        StackError
            If the API does not answer, or there is no secret to ask with.
        """
        try:
            answer = self._client.post(
                path, json=body, params=query, headers=self._tokens.header(_SCOPE)
            )  # fmt: skip
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                headers = self._tokens.header(_SCOPE, anew=True)
                answer = self._client.post(path, json=body, params=query, headers=headers)
        except (httpx.HTTPError, SettingsError) as err:
            raise StackError(f"no answer from the API at {self._settings.api_url}: {err}") from err
        if answer.is_server_error:
            raise StackError(f"the API answers {answer.status_code}")
        return answer
