"""Why nobody is signed in by the identity provider."""

from typing import Literal

from presagio.errors import PresagioError

Reason = Literal[
    "denied", "provider", "refused", "untrue", "begun", "nameless", "group", "busy", "crowded"
]


class NotSignedInError(PresagioError):
    """Nobody is signed in; the message is for the log, and never shown.

    Attributes
    ----------
    reason
        ``denied`` by the provider, ``provider`` that does not answer, ``refused`` for another
        reason, ``untrue`` what it answers, ``begun`` elsewhere or too long ago, ``nameless`` or
        without a ``group`` that may see the console, ``busy`` after too many attempts, ``crowded``
        while others sign in.
    wait_s
        After how many seconds the next attempt is heard.
    """

    def __init__(self, reason: Reason, message: str, wait_s: int = 0) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.wait_s = wait_s
