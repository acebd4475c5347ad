from pathlib import Path

import pytest
from pydantic import SecretStr

from presagio.errors import SettingsError
from presagio.settings import Settings, find_home, load_settings, reveal


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


def test_a_fault_names_its_variable_and_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_MLFLOW_TIMEOUT_S", "secret")
    with pytest.raises(SettingsError, match="PRESAGIO_MLFLOW_TIMEOUT_S") as refused:
        load_settings(tmp_path)
    assert "secret" not in str(refused.value)


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
