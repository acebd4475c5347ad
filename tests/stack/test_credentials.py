import json
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from presagio.errors import StackError
from presagio.settings import Settings, load_settings
from presagio.stack.credentials import (
    Credentials,
    load_credentials,
    write_addresses,
    write_airflow_passwords,
)
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "home")
    layout.create()
    return layout


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_kept(layout: Layout) -> None:
    first = load_credentials(layout)
    assert load_credentials(layout) == first
    assert len(set(asdict(first).values())) == len(asdict(first))
    assert all(len(secret) >= 20 for secret in asdict(first).values())


def test_only_the_owner_can_read_them(layout: Layout) -> None:
    credentials = load_credentials(layout)
    write_addresses(layout, Ports(), credentials, Settings(home=layout.home))
    for path in (
        layout.home / "credentials.env",
        layout.home / "stack.env",
        write_airflow_passwords(layout, credentials),
    ):
        assert _mode(path) == 0o600


def test_a_file_that_was_opened_up_is_closed_again(layout: Layout) -> None:
    load_credentials(layout)
    (layout.home / "credentials.env").chmod(0o644)
    load_credentials(layout)
    assert _mode(layout.home / "credentials.env") == 0o600


def test_a_file_that_lacks_a_secret_is_refused(layout: Layout) -> None:
    load_credentials(layout)
    path = layout.home / "credentials.env"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if "S3_SECRET" not in line), encoding="utf-8")
    with pytest.raises(StackError, match="lacks PRESAGIO_S3_SECRET_KEY"):
        load_credentials(layout)


def test_no_secret_in_the_text_form() -> None:
    credentials = Credentials.generate()
    assert all(secret not in repr(credentials) for secret in asdict(credentials).values())


def test_settings_find_the_stack_by_its_home(layout: Layout) -> None:
    credentials = load_credentials(layout)
    pumps, others = "/specs/pumps.toml", ("/specs/fans.toml", "/more specs")
    given = Settings(home=layout.home, machine_spec=pumps, fleets=others)
    write_addresses(layout, Ports().moved(7), credentials, given)
    settings = load_settings(layout.home)
    assert (settings.machine_spec, settings.fleets) == (pumps, others)
    assert settings.api_url == "http://127.0.0.1:8007"
    assert settings.s3_secret_key is not None
    assert settings.s3_secret_key.get_secret_value() == credentials.s3_secret_key
    assert credentials.s3_secret_key not in repr(settings)
    assert credentials.presagio_db_password not in repr(settings)
    assert settings.api_database_url is not None
    shared = settings.api_database_url.get_secret_value()
    assert shared.startswith(f"postgresql+psycopg://presagio_api:{credentials.api_db_password}@")
    assert credentials.api_db_password not in repr(settings)


def test_airflow_gets_its_admin(layout: Layout) -> None:
    credentials = load_credentials(layout)
    written = json.loads(write_airflow_passwords(layout, credentials).read_bytes())
    assert written == {"admin": credentials.airflow_admin_password}


def test_the_step_that_makes_databases_gets_the_password_of_each_role() -> None:
    credentials = Credentials.generate()
    assert credentials.database_variables() == {
        "PRESAGIO_DB_PASSWORD": credentials.presagio_db_password,
        "PRESAGIO_AIRFLOW_DB_PASSWORD": credentials.airflow_db_password,
        "PRESAGIO_MLFLOW_DB_PASSWORD": credentials.mlflow_db_password,
        "PRESAGIO_POSTGRES_PASSWORD": credentials.postgres_password,
        "PRESAGIO_API_DB_PASSWORD": credentials.api_db_password,
        "PRESAGIO_CONSOLE_DB_PASSWORD": credentials.console_db_password,
    }
