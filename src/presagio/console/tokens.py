"""Tokens that the console itself asks the API with: one a scope, used until it ends."""

import time
from threading import Lock

from presagio.jobs.api_client import fetch_token
from presagio.settings import Settings

# A token is not used in its last seconds.
_SPARE_S = 30.0


class Tokens:
    """The console's tokens; safe to use from several threads.

    Each is asked for once and not for each question: the API verifies a secret for it, which takes
    as long as to verify a password.

    Parameters
    ----------
    settings
        The API's address, the client's name and secret.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, Lock()
        # By scope: the header, and until when it is good.
        self._known: dict[str, tuple[dict[str, str], float]] = {}

    def header(self, scope: str, *, anew: bool = False) -> dict[str, str]:
        """Return the header that a request to the API needs; none where the API asks for none.

        Parameters
        ----------
        scope
            What it is to be good for.
        anew
            Whether the one that is known is refused: the key that tokens are signed with may be
            another one.

        Raises
        ------
        httpx.HTTPError
            If the API does not answer, or refuses.
        SettingsError
            If there is no secret to ask with.
        """
        if self._settings.auth == "off":
            return {}
        with self._lock:
            header, until = self._known.get(scope, ({}, 0.0))
            now = time.monotonic()
            if anew or now >= until:
                token = fetch_token(self._settings, scope)
                header = {"Authorization": f"Bearer {token['access_token']}"}
                self._known[scope] = header, now + float(token["expires_in"]) - _SPARE_S
            return header
