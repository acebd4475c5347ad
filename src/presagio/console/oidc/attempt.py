"""A sign-in that was begun: what the browser keeps until the provider sends it back.

Its cookie holds a random secret, from which all follows that the provider gets to see: ``state``,
``nonce``, and the verifier of PKCE. So only the browser that began can finish, and nothing has to
be stored. It is sealed, since its age and where to go on are read from it.
"""

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Self

# The provider may ask for a second factor meanwhile.
LASTS_S = 600
# How much clocks of replicas may differ.
_CLOCKS_S = 60
_SECRET_BYTES = 32
_PARTS = 4
# With the rest of it, a cookie of 4,096 bytes holds so much.
_LONGEST_BACK = 3000


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _keyed(key: bytes, text: str) -> str:
    return _coded(hmac.digest(key, text.encode(), "sha256"))


@dataclass(frozen=True)
class Attempt:
    """A sign-in that was begun.

    Attributes
    ----------
    secret
        Known to the browser alone.
    begun
        When, in seconds since 1970.
    back
        The address to go on with.
    """

    secret: str
    begun: int
    back: str

    @classmethod
    def begin(cls, back: str) -> Self:
        """Begin one, now."""
        short = back if len(back.encode()) <= _LONGEST_BACK * 3 // 4 else "/"
        return cls(secrets.token_urlsafe(_SECRET_BYTES), int(time.time()), short)

    def _derived(self, use: str) -> str:
        return _keyed(self.secret.encode(), f"presagio console {use}")

    @property
    def state(self) -> str:
        """What the provider sends back with the browser."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the provider signs."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """What shows the provider that who began asks for the token."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The verifier's SHA-256, which the provider gets to know first (PKCE, S256)."""
        return _coded(hashlib.sha256(self.verifier.encode()).digest())

    @property
    def is_over(self) -> bool:
        """Whether it was begun too long ago."""
        return not -_CLOCKS_S <= time.time() - self.begun <= LASTS_S

    def seal(self, key: bytes) -> str:
        """Return it for a cookie."""
        text = f"{self.secret}.{self.begun}.{_coded(self.back.encode())}"
        return f"{text}.{_keyed(key, text)}"

    @classmethod
    def read(cls, cookie: str, key: bytes) -> Self | None:
        """Return what was sealed with this key; None of anything else."""
        text, _, seal = cookie.rpartition(".")
        parts = text.split(".")
        if len(parts) != _PARTS - 1 or not hmac.compare_digest(
            _keyed(key, text).encode(), seal.encode()
        ):
            return None
        secret, begun, back = parts
        padded = back + "=" * (-len(back) % 4)
        return cls(secret, int(begun), base64.urlsafe_b64decode(padded).decode())
