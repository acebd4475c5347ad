"""Requests that another site has a browser send are refused, in two independent ways.

A form carries a token that only a page of this console can know, and the browser says which site
sends it. The token follows from the secret in the visitor's cookie, so that nothing is stored.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

FIELD = "csrf_token"
HEADER = "x-csrf-token"


def token_of(secret: str) -> str:
    """Return the token of the forms of who has this secret in a cookie."""
    return hmac.new(secret.encode(), b"presagio console form", hashlib.sha256).hexdigest()


def is_token_of(secret: str, given: str) -> bool:
    """Tell whether a form's token is the one of this secret."""
    return hmac.compare_digest(token_of(secret).encode(), given.encode())


def comes_from_here(request: Request) -> bool:
    """Tell whether a page of this console sends the request, as the browser says.

    Browsers send ``Sec-Fetch-Site`` over TLS and to this machine, and ``Origin`` everywhere; what
    has neither is no form of a browser.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return site == "same-origin"
    try:
        where = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    # The scheme may be another one where TLS ends before this program.
    return where == request.headers.get("host", "").lower() != ""
