"""Tokens of an outside issuer, whose keys change."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from presagio.serving.issuers import OidcIssuer
from presagio.settings import Settings
from tests.serving.conftest import Serve, alone, with_secrets
from tests.serving.odd_tokens import ODD, claims_of, coded, odd_tokens

pytestmark = pytest.mark.unit


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return with_secrets(alone(tmp_path, record_predictions=False))


class Issuer:
    """An outside issuer on this machine, with keys that it changes."""

    def __init__(self) -> None:
        self.private = {"one": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = json.dumps(outer.documents()[self.path]).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def documents(self) -> dict[str, Any]:
        keys = [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            | {"kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in self.private.items()
        ]
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url, "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {"keys": keys},
        }  # fmt: skip

    def token(self, kid: str = "one", **changes: Any) -> str:
        claims = claims_of(iss=self.url, aud="plant", **changes)
        return jwt.encode(claims, self.private[kid], "RS256", headers={"kid": kid})

    def odd(self, changes: dict[str, Any]) -> str:
        """Return a token whose claims a library would not write, signed well."""
        header = coded({"alg": "RS256", "kid": "one", "typ": "JWT"})
        signed = f"{header}.{coded(claims_of(iss=self.url, aud='plant') | changes)}"
        signature = self.private["one"].sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


def test_tokens_of_an_outside_issuer_are_taken(
    serve: Serve, settings: Settings, issuer: Issuer
) -> None:
    outside = settings.model_copy(update={"oidc_issuer": issuer.url, "oidc_audience": "plant"})

    with serve(outside) as client:

        def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return client.post("/model/reload", headers=headers).status_code

        assert status(issuer.token()) == 200
        assert status(issuer.token(sub="another")) == 200
        # The keys were fetched once, and kept.
        assert len(issuer.asked) == 2
        assert status(issuer.token(scope="predict")) == 403
        assert status(issuer.token(exp=int(time.time()) - 60)) == 401
        assert status(issuer.token(exp=None)) == 401
        for name, token in odd_tokens(iss=issuer.url, aud="plant").items():
            assert status(token) == 401, name
        for name, values in ODD.items():
            for value in values:
                assert status(issuer.odd({name: value})) == 401, (name, value)
        # Its public key as if it were a secret that both sides share.
        public = issuer.private["one"].public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        header = coded({"alg": "HS256", "kid": "one", "typ": "JWT"})
        payload = coded(claims_of(iss=issuer.url, aud="plant"))
        signature = hmac.digest(pem, f"{header}.{payload}".encode(), "sha256")
        signed = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        assert status(f"{header}.{payload}.{signed}") == 401
        # A new key is found, though not sooner than every now and then.
        issuer.private = {"two": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        assert status(issuer.token("two")) == 401


def test_a_new_key_of_the_issuer_is_found_and_an_issuer_that_is_down_takes_none_away(
    issuer: Issuer,
) -> None:
    async def scenario() -> None:
        verifier = OidcIssuer(issuer.url, "plant", renewed_s=0.0)
        await verifier.claims(issuer.token())
        issuer.private["two"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        await verifier.claims(issuer.token("two"))
        issuer.close()
        issuer.private["three"] = issuer.private["one"]
        with pytest.raises(jwt.PyJWTError):
            await verifier.claims(issuer.token("three"))
        await verifier.claims(issuer.token("two"))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("issuer", "named"),
    [
        ("https://issuer.test", "http://127.0.0.1:8000/"),
        ("https://issuer.test", "http://issuer.test/"),
        ("https://issuer.test", "javascript:alert(1)"),
        ("http://127.0.0.1:1", "http://issuer.test/"),
        ("http://127.0.0.1:1", "http://[/"),
    ],
)
def test_an_issuer_names_no_address_that_others_can_read_or_that_is_this_machines(
    issuer: str, named: str
) -> None:
    verifier = OidcIssuer(issuer, "plant")
    verifier.known = {"token_endpoint": named}
    with pytest.raises(ValueError, match="no address that may be asked"):
        verifier.endpoint("token_endpoint")


def test_an_issuer_that_is_away_refuses_and_does_not_break(
    serve: Serve, settings: Settings, issuer: Issuer
) -> None:
    away = settings.model_copy(update={"oidc_issuer": issuer.url, "oidc_audience": "plant"})
    issuer.close()
    with serve(away) as client:
        headers = {"Authorization": f"Bearer {issuer.token()}"}
        assert client.get("/model", headers=headers).status_code == 401
