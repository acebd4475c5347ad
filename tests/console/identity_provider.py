"""An identity provider on this machine: OpenID Connect as others speak it, and lies.

It is at ``localhost``, the console at ``127.0.0.1``: for a browser these are two sites.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from pydantic import SecretStr

CLIENT, SECRET = "console of a plant", "a secret: with + and %"
OPERATOR = {"sub": "248289761001", "preferred_username": "rosa", "groups": ["plant-operators"]}
Fields = dict[str, str]


@cache
def key(kid: str) -> RSAPrivateKey:  # noqa: ARG001 - one for each
    return generate_private_key(public_exponent=65537, key_size=2048)


def published(kid: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key(kid).public_key()))
    return found | {"kid": kid, "use": "sig", "alg": "RS256"}


@dataclass(frozen=True)
class Granted:
    """A code, for what it was given, and to whom."""

    asked: Fields
    person: dict[str, Any]


class IdentityProvider:
    """One that somebody is signed in to.

    Attributes
    ----------
    person
        Claims of who is signed in.
    kid
        What it signs with.
    changes
        Claims of ID tokens that are others than they should be; None takes one out.
    sign
        Makes a token of claims.
    documents
        What is answered at other addresses: an object, bytes, or what is called with the handler.
    redeems
        How often a code is taken.
    asks
        Whether people have to click.
    """

    sign: Callable[[dict[str, Any]], str]

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._granted: dict[str, Granted] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.answer(self, _fields(body))

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("localhost", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://localhost:{self._server.server_port}"
        self.reset()

    def reset(self) -> None:
        """Speak the truth again."""
        self.person: dict[str, Any] = dict(OPERATOR)
        self.kid, self.redeems, self.asks = "one", 1, False
        self.changes: dict[str, Any] = {}
        self.sign = self.signed
        self.documents: dict[str, Any] = {
            "/.well-known/openid-configuration": self.discovery(),
            "/keys": {"keys": [published("one")]},
        }

    def discovery(self, **changes: Any) -> dict[str, Any]:
        whole = {
            "issuer": self.url, "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize?tenant=plant",
            "token_endpoint": f"{self.url}/token", "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/logout",
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip
        return whole | changes

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the console's settings for it."""
        return {
            "console_oidc_issuer": self.url, "console_oidc_client_id": CLIENT,
            "console_oidc_client_secret": SecretStr(SECRET),
            "console_oidc_view_groups": ("plant-viewers",),
            "console_oidc_operate_groups": ("plant-operators",),
            "console_oidc_admin_groups": ("plant-chiefs",),
        } | changes  # fmt: skip

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, key(self.kid), "RS256", headers={"kid": self.kid})

    def answer(self, handler: BaseHTTPRequestHandler, form: Fields) -> None:
        path, _, query = handler.path.partition("?")
        self.asked.append(path)
        if path in self.documents:
            found = self.documents[path]
            if callable(found):
                found(handler)
            else:
                _send(handler, found if isinstance(found, bytes) else json.dumps(found).encode())
        elif path == "/authorize":
            self._authorize(handler, _fields(query))
        elif path == "/token":
            self._token(handler, form)
        elif path == "/userinfo":
            _send(handler, json.dumps(self.person).encode())
        else:
            _send(handler, b"<p>You are signed out.</p>", kind="text/html")

    def _authorize(self, handler: BaseHTTPRequestHandler, asked: Fields) -> None:
        wanted = {
            "response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256",
            "tenant": "plant", "scope": "openid profile email",
        }  # fmt: skip
        assert wanted.items() <= asked.items(), asked
        assert urlsplit(asked["redirect_uri"]).path == "/sign-in/oidc/callback"
        code = secrets.token_urlsafe(16)
        self._granted[code] = Granted(asked, dict(self.person))
        answer = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        back = f"{asked['redirect_uri']}?{answer}"
        if self.asks:
            page = f'<a href="{escape(back)}">Sign in as rosa</a>'
            _send(handler, page.encode(), kind="text/html")
            return
        handler.send_response(303)
        handler.send_header("Location", back)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _token(self, handler: BaseHTTPRequestHandler, form: Fields) -> None:
        granted = self._granted.get(form.get("code", ""))
        kind, _, coded = handler.headers.get("Authorization", "").partition(" ")
        pair = [unquote_plus(each) for each in base64.b64decode(coded).decode().split(":")]
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            granted is None or (kind, pair) != ("Basic", [CLIENT, SECRET])
            or challenge != granted.asked["code_challenge"]
            or form["redirect_uri"] != granted.asked["redirect_uri"]
        ):  # fmt: skip
            _send(handler, b'{"error": "invalid_grant"}', status=400)
            return
        self.redeems -= 1
        if self.redeems < 1:
            del self._granted[form["code"]]
            self.redeems = 1
        token = self.sign(self.claims(granted))
        answer = {"access_token": "a", "token_type": "Bearer", "id_token": token}
        _send(handler, json.dumps(answer).encode())

    def claims(self, granted: Granted) -> dict[str, Any]:
        now = int(time.time())
        whole = granted.person | {
            "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300,
            "nonce": granted.asked["nonce"],
        } | self.changes  # fmt: skip
        return {name: value for name, value in whole.items() if value is not None}


def _fields(text: str) -> Fields:
    return {name: values[-1] for name, values in parse_qs(text).items()}


def _send(
    handler: BaseHTTPRequestHandler, body: bytes, *, kind: str = "application/json",
    status: int = 200,
) -> None:  # fmt: skip
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
