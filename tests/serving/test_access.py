"""Who may ask what: every route with every kind of token; tokens that are not what they seem."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from presagio.errors import SettingsError
from presagio.machine.spec import MachineSpec
from presagio.serving.app import create_app
from presagio.serving.auth.accounts import Accounts, make_account, read_accounts, write_accounts
from presagio.serving.auth.tokens import Authority
from presagio.settings import Settings
from tests.conftest import free_ports
from tests.pumps import PUMPS
from tests.serving.conftest import SECRETS, Serve, with_secrets
from tests.serving.odd_tokens import bad_tokens, odd_tokens

pytestmark = pytest.mark.unit


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
    ("GET", "/fleets", "any"),
    ("POST", "/fleets", "admin"),
    ("GET", "/fleets/svm_prod", "any"),
    ("DELETE", "/fleets/svm_prod", "admin"),
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
_OF_A_FLEET = [
    *((method, f"/fleets/pumps{path}", scope) for method, path, scope in [
        ("POST", "/predict", "predict"), ("POST", "/predict/batch", "predict"),
        ("POST", "/feedback", "feedback"), ("POST", "/model/reload", "admin"),
        ("GET", "/model", "any"), ("GET", "/model/card", "any"), ("GET", "/models", "any"),
        ("GET", "/health/ready", None), ("GET", "/openapi.json", None),
    ]),
    # Who may ask nothing is not told which fleets there are.
    ("GET", "/fleets/nowhere/model", "any"),
    ("GET", "/fleets/nowhere/", "any"),
]  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return with_secrets(
        Settings(
            home=tmp_path_factory.mktemp("home"),
            fleets=(str(PUMPS),),
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


def test_no_odd_token_is_taken_and_none_breaks(client: httpx.Client) -> None:
    for name, token in odd_tokens().items():
        answer = client.get("/model", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, name
        assert answer.headers["content-type"] == "application/problem+json", name


@pytest.mark.parametrize(("method", "path", "scope"), _ROUTES + _OF_A_FLEET)
def test_every_route_with_every_kind_of_token(
    client: httpx.Client, settings: Settings, method: str, path: str, scope: str | None
) -> None:
    authority = Authority(settings)

    def status(token: str | None) -> int:
        headers = {} if token is None else {"Authorization": f"Bearer {token}".strip()}
        return client.request(method, path, headers=headers).status_code

    wrong: list[Any] = [own for own in ("predict", "feedback", "view", "admin") if own != scope]
    if scope is None:
        assert status(None) == status("bad") != 403
        return
    assert status(None) == 401
    for name, token in bad_tokens().items():
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
    assert by_password["scope"].split() == ["predict", "feedback", "view", "operate", "admin"]
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


def test_a_damaged_file_of_accounts_is_said_and_keeps_the_built_in_ones_in(
    serve: Serve, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"home": tmp_path})
    settings.accounts_file.write_bytes(b'[{"name": "line-4", "hash": "$argon2id$of-somebody"}')
    client_form = {"grant_type": "client_credentials", "client_id": "line-4"}
    with serve(settings) as client:
        refused = _ask(client, **client_form, client_secret="its secret")
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:presagio:problem:accounts-unavailable"
        assert str(settings.accounts_file) not in refused.text
        password = SECRETS["admin_password"].get_secret_value()
        assert _ask(client, grant_type="password", username="admin", password=password).is_success
    (line,) = [r.message for r in caplog.records if "cannot sign in now" in r.message]
    assert str(settings.accounts_file) in line
    assert "of-somebody" not in caplog.text


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


@pytest.mark.parametrize("scope", ["predict", "operate", None])
def test_only_a_program_of_the_deployment_names_the_address_of_who_asks(
    scope: str | None, client: httpx.Client
) -> None:
    """Otherwise whoever guesses would count by another address each time."""
    headers = {"Presagio-Client-Address": "192.0.2.7", "Authorization": ""}
    if scope is not None:
        form = {"grant_type": "client_credentials", "scope": scope}
        secret = SECRETS["client_secret"].get_secret_value()
        token = client.post("/token", data=form, auth=("presagio", secret)).json()["access_token"]
        headers["Authorization"] = f"Bearer {token}"
    form = {"grant_type": "password", "username": "admin", "password": "wrong"}
    refused = client.post("/token", data=form, headers=headers)
    assert refused.status_code == (401 if scope is None else 403)


def test_the_address_of_who_asks_is_an_address(client: httpx.Client) -> None:
    form = {"grant_type": "client_credentials", "scope": "admin"}
    secret = SECRETS["client_secret"].get_secret_value()
    token = client.post("/token", data=form, auth=("presagio", secret)).json()["access_token"]
    headers = {"Presagio-Client-Address": "here", "Authorization": f"Bearer {token}"}
    form = {"grant_type": "password", "username": "admin", "password": "wrong"}
    answer = client.post("/token", data=form, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("no-address")
