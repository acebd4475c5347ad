"""A session lasts as long as it may, in every replica, and no longer."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from presagio.console.app import create_app
from presagio.console.sessions import Sessions
from presagio.errors import SettingsError, StorageError
from presagio.serving.auth.accounts import make_account
from presagio.serving.auth.built_in_users import note_built_in_users
from presagio.serving.auth.shared_accounts import opened_accounts
from presagio.serving.shared.database import open_shared_database
from presagio.settings import Settings
from presagio.storage.database import open_database, translated

pytestmark = pytest.mark.integration


@pytest.fixture
def owner(console_settings: Settings) -> Iterator[sa.Engine]:
    """The database, by the account that owns it."""
    engine = open_database(console_settings)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(console_settings: Settings) -> Iterator[sa.Engine]:
    """The database, by the console's account."""
    url = console_settings.console_database_url
    engine = open_database(console_settings.model_copy(update={"database_url": url}))
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: sa.Engine, console_settings: Settings) -> Sessions:
    return Sessions(engine, console_settings)


def _age(owner: sa.Engine, name: str, **columns: timedelta) -> None:
    with owner.begin() as connection:
        for column, by in columns.items():
            connection.execute(
                sa.text(f"UPDATE console_sessions SET {column} = now() - :by WHERE name = :name"),  # noqa: S608 - its columns
                {"by": by, "name": name},
            )


def test_every_replica_knows_a_session(
    sessions: Sessions, engine: sa.Engine, console_settings: Settings
) -> None:
    begun = sessions.begin("someone", ["view", "operate"], None)
    found = Sessions(engine, console_settings).find(begun.secret)
    assert found == begun
    assert begun.may("operate")
    assert not begun.may("admin")
    assert begun.secret not in repr(begun)


def test_the_database_holds_no_secret(sessions: Sessions, owner: sa.Engine) -> None:
    begun = sessions.begin("someone", ["view"], None)
    with owner.connect() as connection:
        kept = str(connection.execute(sa.text("SELECT * FROM console_sessions")).all())
    assert begun.secret not in kept
    assert sessions.find(begun.secret + "x") is None
    assert sessions.find("") is None


@pytest.mark.parametrize("column", ["used_at", "created_at"])
def test_a_session_ends_when_nobody_uses_it_and_in_any_case(
    column: str, sessions: Sessions, owner: sa.Engine, console_settings: Settings
) -> None:
    lasts = {
        "used_at": timedelta(minutes=console_settings.console_idle_minutes),
        "created_at": timedelta(hours=console_settings.console_session_hours),
    }[column]
    begun = sessions.begin(f"ends by {column}", ["view"], None)
    _age(owner, begun.name, **{column: lasts - timedelta(minutes=1)})
    assert sessions.find(begun.secret, is_use=False) is not None
    _age(owner, begun.name, **{column: lasts + timedelta(seconds=1)})
    assert sessions.find(begun.secret) is None


def test_a_page_that_updates_itself_does_not_prolong_a_session(
    sessions: Sessions, owner: sa.Engine
) -> None:
    begun = sessions.begin("watcher", ["view"], None)
    _age(owner, "watcher", used_at=timedelta(minutes=90))

    def idle() -> Any:
        with owner.connect() as connection:
            return connection.scalar(
                sa.text("SELECT now() - used_at FROM console_sessions WHERE name = 'watcher'")
            )

    sessions.find(begun.secret, is_use=False)
    assert idle() > timedelta(minutes=80)
    sessions.find(begun.secret)
    assert idle() < timedelta(minutes=1)


@pytest.mark.parametrize("what", ["removed", "given another secret"])
def test_a_session_ends_with_its_account(
    what: str, sessions: Sessions, console_settings: Settings
) -> None:
    name = f"is {what}"
    with opened_accounts(console_settings) as accounts:
        accounts.put(make_account(name, "user", "a secret", ("view",)))
        begun = sessions.begin(name, ["view"], sessions.account_changed_at(name))
        assert sessions.find(begun.secret) is not None
        if what == "removed":
            accounts.remove(name)
        else:
            accounts.put(make_account(name, "user", "another secret", ("view",)))
    assert sessions.find(begun.secret) is None


def test_the_sessions_of_admin_end_when_the_api_starts_with_another_password(
    sessions: Sessions, console_settings: Settings
) -> None:
    database = open_shared_database(console_settings)
    assert database is not None

    def start(password: str | None) -> None:
        secret = None if password is None else SecretStr(password)
        settings = console_settings.model_copy(update={"admin_password": secret})
        note_built_in_users(settings, database)

    start("a password")
    begun = sessions.begin("admin", ["admin"], sessions.account_changed_at("admin"))
    start("a password")
    assert sessions.find(begun.secret) is not None
    start("another one")
    assert sessions.find(begun.secret) is None
    again = sessions.begin("admin", ["admin"], sessions.account_changed_at("admin"))
    assert sessions.find(again.secret) is not None
    start(None)
    assert sessions.find(again.secret) is None
    database.close()


def test_while_the_database_is_unavailable_who_was_here_may_look(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = sessions.begin("looker", ["view"], None)
    sessions.find(begun.secret)

    def unavailable(*_given: object, **_named: object) -> None:
        raise StorageError("the ledger cannot be used")

    monkeypatch.setattr(sessions, "_look_up", unavailable)
    found = sessions.find(begun.secret)
    assert found is not None
    assert not found.is_certain
    with pytest.raises(StorageError):
        sessions.find("a secret that was never seen")


def test_a_session_ends_while_the_database_is_unavailable_too(
    engine: sa.Engine, console_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A screen that somebody has left stays open for no longer than on other days."""
    sessions = Sessions(engine, console_settings)
    begun = sessions.begin("leaver", ["view"], None)
    sessions.find(begun.secret)

    def unavailable(*_given: object, **_named: object) -> None:
        raise StorageError("the ledger cannot be used")

    monkeypatch.setattr(sessions, "_look_up", unavailable)
    later = time.monotonic() + console_settings.console_idle_minutes * 60
    monkeypatch.setattr("presagio.console.sessions.time.monotonic", lambda: later)
    with pytest.raises(StorageError):
        sessions.find(begun.secret)


@pytest.mark.parametrize(
    "forbidden",
    [
        "SELECT hash FROM api_accounts",
        "SELECT hash FROM api_built_in_users",
        "SELECT * FROM api_attempts",
        "UPDATE receipts SET key = ''",
        "DELETE FROM alarms",
        "UPDATE alarm_entries SET why = ''",
        "DELETE FROM audit_log",
        "INSERT INTO unit_states (fleet, unit) VALUES ('', '')",
        "CREATE TABLE own (id int)",
        "TRUNCATE console_sessions",
    ],
)
def test_the_consoles_account_cannot_change_what_was_written(
    forbidden: str, engine: sa.Engine
) -> None:
    with (
        pytest.raises(StorageError, match="permission denied"),
        translated(),
        engine.begin() as connection,
    ):
        connection.execute(sa.text(forbidden))


def test_an_application_without_a_database_is_refused(console_settings: Settings) -> None:
    changes = {"console_database_url": None, "database_url": None}
    with pytest.raises(SettingsError, match="PRESAGIO_DATABASE_URL"):
        create_app(console_settings.model_copy(update=changes))
