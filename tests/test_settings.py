import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from presagio.errors import SettingsError
from presagio.settings import Settings, find_home, load_settings
from presagio.settings.faults import expected
from presagio.settings.private import reveal


def test_the_environment_comes_before_the_homes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stack.env").write_text(
        "PRESAGIO_API_URL=http://file\nPRESAGIO_MLFLOW_URL=http://file\n", encoding="utf-8"
    )
    monkeypatch.setenv("PRESAGIO_API_URL", "http://environment")
    settings = load_settings(tmp_path)
    assert (settings.api_url, settings.mlflow_url) == ("http://environment", "http://file")


def test_an_empty_variable_is_none_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGIO_AI4I_CSV", "")
    assert load_settings(tmp_path).ai4i_csv is None


def test_who_asks_airflow_has_a_password_of_their_own_or_the_admins(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.airflow_account is None
    admin = settings.model_copy(update={"airflow_admin_password": SecretStr("a")})
    assert admin.airflow_account == ("admin", SecretStr("a"))
    console = {"airflow_user": "console", "airflow_password": SecretStr("c")}
    assert admin.model_copy(update=console).airflow_account == ("console", SecretStr("c"))


def _refusal(home: Path) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(home)
    lead, *faults = str(refused.value).splitlines()
    assert lead == "settings cannot be used:"
    return [fault.strip() for fault in faults]


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("MLFLOW_TIMEOUT_S", "soon", "expected a whole number above 0, got 'soon'; set another "
         "value, or remove it for the default (5)"),
        ("REGISTRY_POLL_S", "-1", "expected a number above 0, got '-1'; set another value, or "
         "remove it for the default (10.0)"),
        ("API_WORKERS", "65", "expected a whole number 1 or more and at most 64, got '65'; set "
         "another value, or remove it for the default (1)"),
        ("AUTH", "maybe", "expected one of on, off, got 'maybe'; set another value, or remove it "
         "for the default (on)"),
        ("RECORD_PREDICTIONS", "2", "expected true or false, got '2'; set another value, or "
         "remove it for the default (true)"),
        ("CORS_ORIGINS", "http://a", 'expected a JSON list of texts, such as ["a", "b"], got '
         "'http://a'; set another value, or remove it for the default ([])"),
        ("AI4I_SHA256", "x" * 70, "expected a text that matches ^[0-9a-f]{64}$, got "
         f"'{'x' * 60}…'; set another value, or remove it for the default (none)"),
        ("TOKEN_SECRET", "hush", "expected a text of 32 characters or more, got a secret of 4 "
         "characters; set another value, or remove it for the default (none)"),
    ],
)  # fmt: skip
def test_a_fault_says_what_was_expected_what_came_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, fault: str
) -> None:
    monkeypatch.setenv(f"PRESAGIO_{variable}", value)
    assert _refusal(tmp_path) == [f"PRESAGIO_{variable} (environment): {fault}"]


def test_all_faults_are_listed_and_where_each_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stack.env"
    file.write_text("PRESAGIO_S3_TIMEOUT_S=0\nPRESAGIO_ALLOW_PICKLE=[1\n", encoding="utf-8")
    (tmp_path / "credentials.env").write_text("PRESAGIO_TOKEN_SECRET=hush\n", encoding="utf-8")
    monkeypatch.setenv("PRESAGIO_API_WORKERS", "none")
    faults = _refusal(tmp_path)
    assert sorted(fault.partition(":")[0] for fault in faults) == [
        f"PRESAGIO_ALLOW_PICKLE ({file})",
        "PRESAGIO_API_WORKERS (environment)",
        f"PRESAGIO_S3_TIMEOUT_S ({file})",
        f"PRESAGIO_TOKEN_SECRET ({tmp_path / 'credentials.env'})",
    ]
    assert "hush" not in "".join(faults)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_in_words_what_it_takes(name: str) -> None:
    words = expected(Settings.model_fields[name])
    assert re.match(r"(a|one of|true) ?", words)
    assert not re.search(r"typing|class|Annotated|Optional|None", words)


def test_lists_are_read_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGIO_CORS_ORIGINS", '["http://a", "http://b"]')
    assert load_settings(tmp_path).cors_origins == ("http://a", "http://b")


@pytest.mark.parametrize(
    "issuer",
    ["http://idp.test", "idp.test", "https://", "https://idp.test?a=b", "https://idp.test#a",
     "https://rosa@idp.test", "https://[", "ftp://idp.test", "https://idp.test/a b"],
)  # fmt: skip
def test_an_identity_provider_is_asked_over_tls_only(
    issuer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_CONSOLE_OIDC_ISSUER", issuer)
    assert "an https:// address is expected" in _refusal(tmp_path)[0]


def test_an_identity_provider_and_its_groups_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "ISSUER": "http://localhost:9400/realms/plant", "VIEW_GROUPS": "viewers, shift",
        "ADMIN_GROUPS": '["CN=Chiefs,OU=Plant"]', "SCOPE": "openid groups",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"PRESAGIO_CONSOLE_OIDC_{name}", value)
    settings = load_settings(tmp_path)
    assert settings.console_oidc_issuer == given["ISSUER"]
    assert settings.console_oidc_view_groups == ("viewers", "shift")
    assert settings.console_oidc_admin_groups == ("CN=Chiefs,OU=Plant",)
    monkeypatch.setenv("PRESAGIO_CONSOLE_OIDC_SCOPE", "profile")
    assert "`openid` has to be among the scopes" in _refusal(tmp_path)[0]


def test_a_named_home_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGIO_HOME", str(tmp_path / "x"))
    assert find_home() == tmp_path / "x"
    assert load_settings().home == tmp_path / "x"


def test_the_nearest_home_upwards_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / ".presagio").mkdir()
    assert find_home(inner) == tmp_path / ".presagio"


def test_without_one_it_is_beside_the_project(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "notebooks"
    inner.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    assert find_home(inner) == tmp_path / "project" / ".presagio"


def test_secrets_do_not_show(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, s3_secret_key=SecretStr("hush"))
    assert "hush" not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
    assert reveal(settings.s3_secret_key, "PRESAGIO_S3_SECRET_KEY") == "hush"


def test_a_missing_secret_says_which_variable() -> None:
    with pytest.raises(SettingsError, match="PRESAGIO_DATABASE_URL is not set"):
        reveal(None, "PRESAGIO_DATABASE_URL")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "mlflow.example.org", "https://a b"])
def test_pages_link_to_addresses_of_the_web_only(url: str) -> None:
    with pytest.raises(ValidationError, match="mlflow_pages_url"):
        Settings(mlflow_pages_url=url)
