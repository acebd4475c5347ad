"""Accounts in the database that replicas share, and the file that they come from."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from presagio.cli.main import app
from presagio.serving.auth.accounts import Account, Accounts, make_account, write_accounts
from presagio.serving.auth.shared_accounts import SharedAccounts
from presagio.serving.shared.database import Database, SharedStateError, database_address
from presagio.settings import Settings
from tests.conftest import RunningServices
from tests.serving.sharing_replicas import (
    as_api,
    as_superuser,
    at_once,
    replica_settings,
    shared_database,
)

pytestmark = pytest.mark.integration

_LINE = make_account("line-1", "client", "from the file", ("predict",))


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    return replica_settings(services, tmp_path)


@pytest.fixture
def databases(settings: Settings) -> Iterator[list[Database]]:
    made = [shared_database(settings) for _ in range(3)]
    yield made
    for database in made:
        database.close()


def _everywhere(settings: Settings, databases: list[Database]) -> list[SharedAccounts]:
    return [SharedAccounts(database, settings.accounts_file) for database in databases]


def _clients(accounts: SharedAccounts) -> list[Account]:
    """Return all but the people of the console's tests, who are in the same table."""
    return [account for account in accounts.all() if account.kind == "client"]


def test_an_account_is_known_everywhere_within_a_second(
    settings: Settings, databases: list[Database]
) -> None:
    first, *others = _everywhere(settings, databases)
    assert [one.find("client", "line-1") for one in others] == [None, None]
    began = time.monotonic()
    first.put(_LINE)
    assert [one.find("client", "line-1") for one in others] == [_LINE, _LINE]
    assert time.monotonic() - began < 1.0
    first.put(_LINE.model_copy(update={"scopes": ("feedback",)}))
    assert {one.find("client", "line-1").scopes for one in others} == {("feedback",)}  # type: ignore[union-attr]
    assert first.remove("line-1")
    assert not first.remove("line-1")
    assert [one.find("client", "line-1") for one in others] == [None, None]


def test_the_file_is_imported_once_whoever_comes_first(
    settings: Settings, databases: list[Database]
) -> None:
    write_accounts(settings.accounts_file, (_LINE,))
    kept = settings.accounts_file.read_bytes()
    everywhere = _everywhere(settings, databases)
    at_once([one.take_file for one in everywhere])
    assert [_clients(one) for one in everywhere] == [[_LINE]] * 3
    assert everywhere[0].remove("line-1")
    # The next start finds the file where it was, and brings nobody back who was removed.
    assert [_clients(one) for one in _everywhere(settings, databases)] == [[]] * 3
    assert settings.accounts_file.read_bytes() == kept


def test_what_the_table_has_stays_when_a_file_is_imported(
    settings: Settings, databases: list[Database], caplog: pytest.LogCaptureFixture
) -> None:
    newer = make_account("line-1", "client", "a newer secret", ("predict",))
    _everywhere(settings, databases)[0].put(newer)
    write_accounts(settings.accounts_file, (_LINE, _LINE.model_copy(update={"name": "line-2"})))
    with caplog.at_level(logging.WARNING):
        known = _clients(_everywhere(settings, databases)[0])
    assert [(account.name, account.hash) for account in known] == [
        ("line-1", newer.hash), ("line-2", _LINE.hash),
    ]  # fmt: skip
    assert "line-1" in caplog.text


def test_a_damaged_file_is_logged_and_keeps_nobody_out(
    settings: Settings, databases: list[Database], caplog: pytest.LogCaptureFixture
) -> None:
    _everywhere(settings, databases)[0].put(_LINE)
    settings.accounts_file.write_bytes(b'[{"name": "x", "hash": "$argon2id$secret"')
    accounts = Accounts(settings, _everywhere(settings, databases)[0])
    found = accounts.verify("client", "line-1", "from the file")
    assert found is not None
    assert str(settings.accounts_file) in caplog.text
    assert "argon2id" not in caplog.text


def test_without_the_database_who_was_seen_goes_on_and_others_are_not_guessed_at(
    settings: Settings,
) -> None:
    unreachable = Database("postgresql://presagio_api:x@127.0.0.1:9/presagio")
    with pytest.raises(SharedStateError, match="PRESAGIO_API_DATABASE_URL"):
        SharedAccounts(unreachable, settings.accounts_file).find("client", "line-1")


@pytest.mark.parametrize("name", ["\0", "a'; DROP TABLE api_accounts; --", "x" * 10_000, "\ud800"])
def test_names_are_names_whatever_they_hold(
    settings: Settings, databases: list[Database], name: str
) -> None:
    first = _everywhere(settings, databases)[0]
    assert first.find("client", name) is None
    assert _clients(first) == []


def test_commands_keep_accounts_where_the_replicas_look(
    services: RunningServices, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = as_api(services).get_secret_value()
    monkeypatch.setenv("PRESAGIO_API_DATABASE_URL", url)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["account", *arguments, "--home", str(settings.home)])
        assert done.exit_code == 0, done.output
        return done.stdout

    made = json.loads(run("add", "line-7", "--scope", "predict", "--json"))
    assert not settings.accounts_file.exists()
    listed = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert [each["name"] for each in listed if each["kind"] == "client"] == ["line-7"]
    database = shared_database(settings)
    accounts = Accounts(settings, SharedAccounts(database, settings.accounts_file))
    assert accounts.verify("client", "line-7", made["secret"]) is not None
    run("remove", "line-7")
    assert accounts.verify("client", "line-7", made["secret"]) is None
    database.close()


def test_the_apis_role_may_use_what_replicas_share_and_nothing_else(
    services: RunningServices, settings: Settings
) -> None:
    address = database_address(settings)
    assert address is not None
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in (
            "SELECT FROM receipts", "INSERT INTO promotions DEFAULT VALUES",
            "CREATE TABLE api_mine (x int)", "DROP TABLE api_accounts", "TRUNCATE api_accounts",
            "SELECT FROM alembic_version",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(address.replace("/presagio", "/airflow"))
    with as_superuser(services) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = %s",
            ("presagio_api",),
        ).fetchone()
    assert row == (False, False, False)
