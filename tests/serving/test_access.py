"""Who may ask what: every route with every kind of token; tokens that are not what they seem."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from presagio.errors import SettingsError
from presagio.machine.spec import MachineSpec
from presagio.serving.app import create_app
from presagio.serving.auth.accounts import Accounts, make_account, read_accounts, write_accounts
from presagio.serving.auth.tokens import Authority
from presagio.serving.http.problems import RefusedError
from presagio.settings import Settings
from tests.conftest import free_ports
from tests.serving.conftest import SECRETS, Serve, with_secrets

pytestmark = pytest.mark.unit

_KEY = SECRETS["token_secret"].get_secret_value()

# Each route of the document: method, path, the scope that it needs; "any": a valid token will do.
_ROUTES = [
    ("POST", "/predict", "predict"),
    ("POST", "/predict/batch", "predict"),
    ("POST", "/v2/models/svm_prod/infer", "predict"),
    ("POST", "/v2/models/svm_prod/versions/1/infer", "predict"),
    ("POST", "/feedback", "feedback"),
    ("POST", "/model/reload", "admin"),
    ("GET", "/model", "any"),
    ("GET", "/model/card", "any"),
    ("GET", "/models", "any"),
    ("GET", "/metrics", "any"),
    ("GET", "/v2/models/svm_prod", "any"),
    ("GET", "/v2/models/svm_prod/ready", "any"),
    ("GET", "/v2/models/svm_prod/versions/1", "any"),
    ("GET", "/v2/models/svm_prod/versions/1/ready", "any"),
    ("GET", "/", None),
    ("GET", "/health/live", None),
    ("GET", "/health/ready", None),
    ("GET", "/v2", None),
    ("GET", "/v2/health/live", None),
    ("GET", "/v2/health/ready", None),
    ("POST", "/token", None),
    ("POST", "/model/webhook", None),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return with_secrets(
        Settings(
            home=tmp_path_factory.mktemp("home"),
            mlflow_url=free_ports().url("mlflow"),
            s3_endpoint=free_ports().url("s3"),
            s3_access_key=SecretStr("key"),
            s3_secret_key=SecretStr("secret"),
            mlflow_timeout_s=1,
            s3_timeout_s=1,
            record_predictions=False,
            token_secret_previous=SecretStr("the key before it, 32 characters or more"),
        )
    )


@pytest.fixture(scope="module")
def client(serve: Serve, settings: Settings) -> Iterator[httpx.Client]:
    with serve(settings) as client:
        del client.headers["Authorization"]
        yield client


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": "presagio", "aud": "presagio", "sub": "x", "iat": now, "exp": now + 60,
        "scope": "predict feedback admin",
    }  # fmt: skip
    return {name: value for name, value in (claims | changes).items() if value is not None}


def _signed(key: str = _KEY, algorithm: str = "HS256", **changes: Any) -> str:
    kid = hashlib.sha256(_KEY.encode()).hexdigest()[:16]
    return jwt.encode(_claims(**changes), key, algorithm, headers={"kid": kid})


def _coded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _bad_tokens() -> dict[str, str]:
    good = _signed()
    header, payload, signature = good.split(".")
    none = _coded({"alg": "none", "typ": "JWT"})
    return {
        "no token at all": "",
        "nonsense": "abc",
        "expired": _signed(exp=int(time.time()) - 60),
        "of another audience": _signed(aud="others"),
        "of another issuer": _signed(iss="others"),
        "without an end": _signed(exp=None),
        "without an audience": _signed(aud=None),
        "without an issuer": _signed(iss=None),
        "not valid yet": _signed(nbf=int(time.time()) + 600),
        "signed with another key": _signed("another key that has 32 characters or so"),
        "signed by another algorithm": _signed(algorithm="HS512"),
        "alg none": f"{none}.{payload}.",
        "alg none, old signature": f"{none}.{payload}.{signature}",
        "an empty signature": f"{header}.{payload}.",
        "a cut signature": good[:-4],
        "another payload": f"{header}.{_coded(_claims(sub='root'))}.{signature}",
        "an unknown key": jwt.encode(_claims(), _KEY, "HS256", headers={"kid": "f" * 16}),
        "a key from elsewhere": jwt.encode(
            _claims(), _KEY, "HS256", headers={"jku": "http://127.0.0.1:1/", "x5u": "http://x"}
        ),
        "oversized": good + "a" * 9000,
        "deeply nested": f"{header}.{base64.urlsafe_b64encode(b'[' * 4000).decode()}.{signature}",
    }


_ODD: dict[str, list[Any]] = {
    # What json.dumps writes as NaN and Infinity is what libraries read.
    "exp": [10**400, -(10**400), 1e308, float("nan"), float("inf"), -float("inf"), -1, 0, True,
            "9999999999", "soon", None, [], [9999999999], {}, {"$gt": 0}, 10**12],
    "nbf": [10**400, 1e308, float("nan"), float("inf"), True, "1", "x", None, [], {}, 10**11],
    "iat": [10**400, 1e308, float("nan"), float("inf"), True, "1", "x", None, [], {}, 10**11],
    "aud": [[], [[]], [["presagio"]], ["others"], {"presagio": 1}, 7, True, None, "", "presagio ",
            [None], [{}]],
    "iss": [[], ["presagio"], {"presagio": 1}, 7, True, None, "", "Presagio"],
    "sub": [[], {}, 7, True, None, 1.5],
}  # fmt: skip
_HEADERS: list[dict[str, Any]] = [
    {"kid": 7}, {"kid": None}, {"kid": []}, {"kid": {}}, {"kid": "../../etc/passwd"}, {"alg": None},
    {"alg": []}, {"alg": 7}, {"alg": {}}, {"alg": "none"}, {"alg": "nOnE"}, {"crit": ["exp"]},
    {"crit": 7}, {"crit": []}, {"b64": False, "crit": ["b64"]},
]  # fmt: skip


def _by_hand(header: object, claims: object, key: str = _KEY) -> str:
    """Sign what a library would not write."""
    signed = f"{_coded(header)}.{_coded(claims)}"
    signature = hmac.digest(key.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _odd_tokens(**claims: Any) -> dict[str, str]:
    header = {"alg": "HS256", "typ": "JWT", "kid": hashlib.sha256(_KEY.encode()).hexdigest()[:16]}
    good = _claims(**claims)
    tokens = {
        f"{name} {value!r}"[:60]: _by_hand(header, good | {name: value})
        for name, values in _ODD.items()
        for value in values
    }
    tokens |= {f"header {odd!r}": _by_hand(header | odd, good) for odd in _HEADERS}
    whole: list[Any] = [[], [1], "x", 7, None, True, 1e400]
    tokens |= {f"claims {odd!r}": _by_hand(header, odd) for odd in whole}
    tokens |= {f"headers {odd!r}": _by_hand(odd, good) for odd in whole}
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    tokens["nested"] = _by_hand(header, good | {"exp": deep})
    digits = json.dumps(good).replace(str(good["exp"]), "9" * 5000)
    coded = base64.urlsafe_b64encode(digits.encode()).rstrip(b"=").decode()
    tokens["5,000 digits"] = _by_hand(header, good).replace(_coded(good), coded)
    return tokens


def test_no_odd_token_is_taken_and_none_breaks(client: httpx.Client) -> None:
    for name, token in _odd_tokens().items():
        answer = client.get("/model", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, name
        assert answer.headers["content-type"] == "application/problem+json", name


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "scope", "scp"]),
                    _JSON, max_size=4),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64"]), _JSON, max_size=3),
)  # fmt: skip
def test_a_token_is_verified_or_refused_whatever_is_in_it(
    claims: dict[str, Any], header: dict[str, Any]
) -> None:
    authority = Authority(with_secrets(Settings(home=Path("/nowhere"))))
    usual = {"alg": "HS256", "typ": "JWT", "kid": hashlib.sha256(_KEY.encode()).hexdigest()[:16]}
    token = _by_hand(usual | header, _claims() | claims)
    try:
        principal = asyncio.run(authority.verify(token))
    except RefusedError as err:
        assert err.status == 401  # noqa: PT017 - the other way is tested as well
    else:
        assert principal.scopes <= {"predict", "feedback", "admin"}
        assert time.time() - 10 < principal.expires < 1e12


@pytest.mark.parametrize(("method", "path", "scope"), _ROUTES)
def test_every_route_with_every_kind_of_token(
    client: httpx.Client, settings: Settings, method: str, path: str, scope: str | None
) -> None:
    authority = Authority(settings)

    def status(token: str | None) -> int:
        headers = {} if token is None else {"Authorization": f"Bearer {token}".strip()}
        return client.request(method, path, headers=headers).status_code

    wrong: list[Any] = [own for own in ("predict", "feedback", "admin") if own != scope]
    if scope is None:
        assert status(None) == status("bad") != 403
        return
    assert status(None) == 401
    for name, token in _bad_tokens().items():
        assert status(token) == 401, name
    if scope == "any":
        assert status(authority.issue("x", [])[0]) not in {401, 403}
    else:
        assert status(authority.issue("x", wrong)[0]) == 403
        right: Any = [scope]
        assert status(authority.issue("x", right)[0]) not in {401, 403}


def test_no_route_is_left_out(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    known = {(method, path) for method, path, _ in _ROUTES}
    for path, operations in document["paths"].items():
        shown = path.replace("{name}", "svm_prod").replace("{version}", "1")
        for method, operation in operations.items():
            assert (method.upper(), shown) in known
            scope = next(s for m, p, s in _ROUTES if (m, p) == (method.upper(), shown))
            assert ("security" in operation) == (scope is not None), path


def test_tokens_of_the_key_before_hold(client: httpx.Client, settings: Settings) -> None:
    assert settings.token_secret_previous is not None
    before = Authority(
        settings.model_copy(
            update={"token_secret": settings.token_secret_previous, "token_secret_previous": None}
        )
    )
    token, _ = before.issue("x", ["predict"])
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/model", headers=headers).status_code == 200


def _ask(client: httpx.Client, **form: str) -> httpx.Response:
    return client.post("/token", data=form)


def test_a_password_and_a_secret_are_exchanged_for_tokens(
    client: httpx.Client, spec: MachineSpec
) -> None:
    password = SECRETS["admin_password"].get_secret_value()
    by_password = _ask(client, grant_type="password", username="admin", password=password).json()
    assert by_password["scope"].split() == ["predict", "feedback", "admin"]
    secret = SECRETS["client_secret"].get_secret_value()
    basic = client.post(
        "/token", data={"grant_type": "client_credentials", "scope": "predict"},
        auth=("presagio", secret),
    )  # fmt: skip
    assert (basic.json()["scope"], basic.json()["token_type"]) == ("predict", "bearer")
    assert basic.headers["cache-control"] == "no-store"
    in_body = _ask(
        client, grant_type="client_credentials", client_id="presagio", client_secret=secret
    )
    headers = {"Authorization": f"Bearer {in_body.json()['access_token']}"}
    body = {"request_id": 1, "features": dict(spec.example)}
    assert client.post("/predict", json=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password", "username": "admin", "password": "no"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "eve", "password": "no"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials", "client_id": "x"}, 401, "invalid_client"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
    ],
)
def test_what_is_not_right_gets_no_token(
    serve: Serve, settings: Settings, form: dict[str, str], status: int, error: str
) -> None:
    with serve(settings) as client:
        answer = _ask(client, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_scope_that_the_account_lacks_is_refused(serve: Serve, settings: Settings) -> None:
    line = make_account("line-4", "client", "its secret", ("predict",))
    write_accounts(settings.accounts_file, (line,))
    assert (settings.accounts_file.stat().st_mode & 0o777) == 0o600
    assert b"its secret" not in settings.accounts_file.read_bytes()
    assert read_accounts(settings.accounts_file) == (line,)
    form = {"grant_type": "client_credentials", "client_id": "line-4"}
    with serve(settings) as client:
        refused = _ask(client, **form, client_secret="its secret", scope="admin")
        assert refused.json()["error"] == "invalid_scope"
        given = _ask(client, **form, client_secret="its secret", scope="admin predict")
        assert given.json()["scope"] == "predict"


def test_guessing_is_slowed_down(serve: Serve, settings: Settings) -> None:
    few = settings.model_copy(update={"token_attempts": 3})
    form = {"grant_type": "password", "username": "admin"}
    with serve(few) as client:
        for _ in range(3):
            assert _ask(client, **form, password="guess").status_code == 400
        blocked = _ask(client, **form, password=SECRETS["admin_password"].get_secret_value())
        assert blocked.status_code == 429
        assert 0 < int(blocked.headers["retry-after"]) <= 61


def test_a_form_that_is_none_is_refused(client: httpx.Client) -> None:
    for raw in (b"\xff\xfe", b"a=1&" * 100):
        assert client.post("/token", content=raw).json()["error"] == "invalid_request"
    assert client.post("/token", content=b"a" * 20_000).status_code == 413


def test_without_a_key_the_api_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PRESAGIO_TOKEN_SECRET"):
        create_app(Settings(home=tmp_path))


def test_off_is_open_and_loud(
    serve: Serve, settings: Settings, spec: MachineSpec, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        serve(settings.model_copy(update={"auth": "off"})) as client,
    ):
        body = {"request_id": 1, "features": dict(spec.example)}
        assert client.post("/predict", json=body).status_code == 200
        assert client.get("/health/ready").json()["auth"] == "off"
        assert client.post("/token").status_code == 404
    assert "PRESAGIO_AUTH is off" in caplog.text


class _Issuer:
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
        claims = _claims(iss=self.url, aud="plant", **changes)
        return jwt.encode(claims, self.private[kid], "RS256", headers={"kid": kid})

    def odd(self, changes: dict[str, Any]) -> str:
        """Return a token whose claims a library would not write, signed well."""
        header = _coded({"alg": "RS256", "kid": "one", "typ": "JWT"})
        signed = f"{header}.{_coded(_claims(iss=self.url, aud='plant') | changes)}"
        signature = self.private["one"].sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def issuer() -> Iterator[_Issuer]:
    issuer = _Issuer()
    yield issuer
    issuer.close()


def test_tokens_of_an_outside_issuer_are_taken(
    serve: Serve, settings: Settings, issuer: _Issuer, monkeypatch: pytest.MonkeyPatch
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
        for name, token in _odd_tokens(iss=issuer.url, aud="plant").items():
            assert status(token) == 401, name
        for name, values in _ODD.items():
            for value in values:
                assert status(issuer.odd({name: value})) == 401, (name, value)
        # Its public key as if it were a secret that both sides share.
        public = issuer.private["one"].public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        header = _coded({"alg": "HS256", "kid": "one", "typ": "JWT"})
        payload = _coded(_claims(iss=issuer.url, aud="plant"))
        signature = hmac.digest(pem, f"{header}.{payload}".encode(), "sha256")
        coded = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        assert status(f"{header}.{payload}.{coded}") == 401
        # A new key is found, though not sooner than every now and then.
        issuer.private = {"two": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        assert status(issuer.token("two")) == 401
        monkeypatch.setattr("presagio.serving.auth.issuers._RENEWED_S", 0.0)
        assert status(issuer.token("two")) == 200


def test_an_issuer_that_is_away_refuses_and_does_not_break(
    serve: Serve, settings: Settings, issuer: _Issuer
) -> None:
    away = settings.model_copy(update={"oidc_issuer": issuer.url, "oidc_audience": "plant"})
    issuer.close()
    with serve(away) as client:
        headers = {"Authorization": f"Bearer {issuer.token()}"}
        assert client.get("/model", headers=headers).status_code == 401


def test_the_client_of_prometheus_may_read_figures_and_nothing_else(settings: Settings) -> None:
    secret = SecretStr("read only, and long enough")
    accounts = Accounts(settings.model_copy(update={"metrics_secret": secret}))
    found = accounts.verify("client", "prometheus", secret.get_secret_value())
    assert found is not None
    assert found.scopes == ()
    assert Accounts(settings).verify("client", "prometheus", secret.get_secret_value()) is None


_BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/model/card", "/model", "/models"])
def test_a_browser_without_a_token_is_told_how_to_sign_in(client: httpx.Client, path: str) -> None:
    headers = {**_BROWSER, "Authorization": ""}
    refused = client.get(path, headers=headers)
    assert refused.status_code == 401
    assert refused.headers["content-type"].startswith("text/html")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["vary"] == "Accept"
    assert "frame-ancestors 'none'" in refused.headers["content-security-policy"]
    for way in ("presagio card", "presagio token", "/docs", "card.html", 'type="password"'):
        assert way in refused.text
    assert not re.search(r'(src|href)="(https?:)?//', refused.text)
    assert "urn:presagio:problem" not in refused.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_a_program_without_a_token_gets_a_problem_document(
    client: httpx.Client, accept: str
) -> None:
    refused = client.get("/model/card", headers={"Accept": accept, "Authorization": ""})
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:presagio:problem:unauthorized"


def test_a_browser_with_a_token_gets_the_card(client: httpx.Client, settings: Settings) -> None:
    token, _ = Authority(settings).issue("someone", ["predict"])
    shown = client.get("/model/card", headers={**_BROWSER, "Authorization": f"Bearer {token}"})
    assert shown.status_code == 200
    assert "Model card: " in shown.text


def test_the_path_is_text_on_the_page(client: httpx.Client) -> None:
    path = "/v2/models/%3Cscript%3E"
    refused = client.get(path, headers={**_BROWSER, "Authorization": ""})
    assert refused.status_code == 401
    assert "<script>alert" not in refused.text
    assert refused.text.count("<script>") == 1
