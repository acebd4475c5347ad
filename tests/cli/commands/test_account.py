"""Commands on the API: tokens from a running one, accounts kept as hashes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from presagio.cli.main import app
from presagio.errors import NotFoundError, SettingsError, StackError
from presagio.serving.auth.accounts import Accounts, read_accounts
from presagio.settings import load_settings
from tests.serving.conftest import SECRETS, alone, serve_app

pytestmark = pytest.mark.unit


def _run(home: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--home", str(home)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_an_account_is_added_listed_and_removed(tmp_path: Path) -> None:
    said = json.loads(_run(tmp_path, "account", "add", "line-4", "--scope", "predict", "--json"))
    settings = load_settings(tmp_path)
    assert (settings.accounts_file.stat().st_mode & 0o777) == 0o600
    found = Accounts(settings).verify("client", "line-4", said["secret"])
    assert found is not None
    assert found.scopes == ("predict",)
    assert Accounts(settings).verify("user", "line-4", said["secret"]) is None
    assert json.loads(_run(tmp_path, "account", "list", "--json"))["name"] == "line-4"
    again = json.loads(_run(tmp_path, "account", "add", "line-4", "--scope", "predict", "--json"))
    assert again["secret"] != said["secret"]
    assert Accounts(settings).verify("client", "line-4", said["secret"]) is None
    _run(tmp_path, "account", "remove", "line-4")
    assert read_accounts(settings.accounts_file) == ()


def test_names_of_the_apis_own_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    for name in ("admin", "oidc:rosa"):
        with pytest.raises(SettingsError, match="choose another name"):
            _run(tmp_path, "account", "add", name, "--scope", "admin")
    with pytest.raises(NotFoundError, match="no account nobody"):
        _run(tmp_path, "account", "remove", "nobody")


def test_a_token_is_printed_by_a_running_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = alone(tmp_path, record_predictions=False)
    secret = SECRETS["client_secret"].get_secret_value()
    monkeypatch.setenv("PRESAGIO_CLIENT_SECRET", secret)
    with serve_app(settings) as client:
        monkeypatch.setenv("PRESAGIO_API_URL", str(client.base_url).rstrip("/"))
        token = _run(tmp_path, "token", "--scope", "predict").strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/model", headers=headers).status_code == 200
        assert client.post("/model/reload", headers=headers).status_code == 403
        monkeypatch.setenv("PRESAGIO_CLIENT_SECRET", "another")
        with pytest.raises(StackError, match="401"):
            _run(tmp_path, "token")
    with pytest.raises(StackError, match="presagio up"):
        _run(tmp_path, "token")


def test_serve_says_at_once_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PRESAGIO_TOKEN_SECRET"):
        _run(tmp_path, "serve")
