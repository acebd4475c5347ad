"""Since when built-in users have their password is written down by whoever starts."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from presagio.serving.auth.built_in_users import BuiltInUsers
from presagio.serving.shared.database import Database
from presagio.settings import Settings
from tests.conftest import RunningServices
from tests.serving.sharing_replicas import as_superuser, at_once, replica_settings, shared_database

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    with as_superuser(services) as connection:
        connection.execute("TRUNCATE api_built_in_users")
    return replica_settings(services, tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = shared_database(settings)
    yield database
    database.close()


def _starting(settings: Settings, database: Database, password: str | None) -> BuiltInUsers:
    secret = None if password is None else SecretStr(password)
    return BuiltInUsers(settings.model_copy(update={"admin_password": secret}), database)


def _noted(database: Database) -> list[tuple[str, datetime]]:
    with database.connection() as connection:
        return connection.execute("SELECT hash, changed_at FROM api_built_in_users").fetchall()


def test_a_password_that_stays_is_noted_once_and_never_in_the_clear(
    settings: Settings, database: Database
) -> None:
    at_once([_starting(settings, database, "first").note for _ in range(4)])
    ((hashed, changed),) = _noted(database)
    assert hashed.startswith("$argon2")
    _starting(settings, database, "first").note()
    assert _noted(database) == [(hashed, changed)]
    _starting(settings, database, "second").note()
    ((other, later),) = _noted(database)
    assert other != hashed
    assert later > changed
    _starting(settings, database, None).note()
    assert _noted(database) == []


def test_without_the_database_it_is_noted_later(settings: Settings, database: Database) -> None:
    unreachable = Database("postgresql://presagio_api:x@127.0.0.1:9/presagio")
    users = _starting(settings, unreachable, "first")
    users.note()
    users._database = database
    users.note()
    assert len(_noted(database)) == 1
