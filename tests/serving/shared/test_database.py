"""The database that replicas share, from its worst side: nobody waits for it for long."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine, text

from presagio.errors import SettingsError
from presagio.serving.shared.database import (
    Database,
    HeldError,
    SharedStateError,
    database_address,
    open_shared_database,
)
from presagio.settings import Settings
from presagio.storage.migration import migrate
from tests.conftest import RunningServices
from tests.serving.sharing_replicas import as_superuser, at_once, replica_settings, shared_database

pytestmark = pytest.mark.integration


@pytest.fixture
def database(services: RunningServices, tmp_path: Path) -> Iterator[Database]:
    database = shared_database(replica_settings(services, tmp_path))
    yield database
    database.close()


def _ask(database: Database) -> object:
    with database.connection() as connection:
        return connection.execute("SELECT 1").fetchone()


def _named(url: str) -> Settings:
    return Settings(home=Path("/nowhere"), api_database_url=SecretStr(url))


def test_without_the_setting_there_is_none() -> None:
    assert open_shared_database(Settings(home=Path("/nowhere"))) is None
    assert open_shared_database(_named("")) is None


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql+psycopg://a:b@h:1/d", "postgresql://a:b@h:1/d"),
        ("postgresql://a:b@h:1/d?sslmode=require", "postgresql://a:b@h:1/d?sslmode=require"),
    ],
)
def test_addresses_are_taken_as_other_settings_write_them(url: str, address: str) -> None:
    assert database_address(_named(url)) == address


@pytest.mark.parametrize("url", ["sqlite:///secret", "host=h password=secret", "secret"])
def test_what_is_no_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="PRESAGIO_API_DATABASE_URL") as refused:
        database_address(_named(url))
    assert "secret" not in str(refused.value)


def test_a_server_that_takes_connections_and_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = Database(f"postgresql://a:b@127.0.0.1:{silent.getsockname()[1]}/d")
        began = time.monotonic()
        with pytest.raises(SharedStateError):
            _ask(database)
        assert time.monotonic() - began < 4.0
        assert not database.available
        # Known by now: answered without another try.
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(SharedStateError, match="a moment ago"):
                _ask(database)
        assert time.monotonic() - began < 0.5
        database.close()


@pytest.mark.parametrize("when", ["before a statement", "before the commit", "while it is idle"])
def test_a_server_that_stops_is_cut_off(database: Database, when: str) -> None:
    stopped = []

    def ask() -> None:
        with database.connection() as connection:
            (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
            stopped.append(pid)
            if when != "while it is idle":
                os.kill(pid, signal.SIGSTOP)
            if when == "before a statement":
                connection.execute("SELECT 1")
        if when == "while it is idle":
            os.kill(pid, signal.SIGSTOP)
            # Another connection is made.
            assert _ask(database) == (1,)

    def resume() -> None:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    began = time.monotonic()
    # What threads wait for without end, a test does too.
    rescue = threading.Timer(8.0, resume)
    rescue.start()
    try:
        if when == "while it is idle":
            ask()
        else:
            with pytest.raises(SharedStateError):
                ask()
    finally:
        rescue.cancel()
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - began < 4.0


def test_a_lock_that_others_hold_is_no_fault_of_the_database(database: Database) -> None:
    lock = "SELECT pg_advisory_xact_lock(19)"
    with database.connection(answer_s=30.0) as holder:
        holder.execute(lock)
        with pytest.raises(HeldError), database.connection() as connection:
            connection.execute(lock)
        assert database.available


def test_limits_are_those_of_a_transaction_so_that_a_pooler_may_stand_between(
    database: Database,
) -> None:
    with database.connection() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("2s",)
        assert "options" not in connection.info.get_parameters()


def test_a_statement_that_takes_too_long_is_ended_by_the_server(database: Database) -> None:
    began = time.monotonic()
    with pytest.raises(SharedStateError), database.connection(answer_s=30.0) as connection:
        connection.execute("SELECT pg_sleep(30)")
    assert time.monotonic() - began < 6.0


def test_more_than_there_are_connections_wait_and_what_fails_is_undone(database: Database) -> None:
    assert at_once([lambda: _ask(database)] * 12) == [(1,)] * 12

    def fails() -> None:
        with database.connection() as connection:
            connection.execute("INSERT INTO api_account_files (sha256) VALUES ('undone')")
            raise ValueError("whoever asked had a fault")

    with pytest.raises(ValueError, match="whoever asked"):
        fails()
    with database.connection() as connection:
        assert connection.execute("SELECT FROM api_account_files").fetchone() is None


def test_a_migration_that_comes_after_the_role_gives_it_its_tables_too(
    services: RunningServices,
) -> None:
    name = f"ledger_{uuid4().hex[:8]}"
    with as_superuser(services) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER presagio")
        try:
            url = services.credentials.database_url(services.ports, "presagio")
            engine = create_engine(url.removesuffix("presagio") + name, poolclass=NullPool)
            # As a release brings new tables to a stack that runs.
            migrate(engine)
            with engine.connect() as ledger:
                granted = ledger.execute(
                    text(
                        "SELECT tablename, has_table_privilege('presagio_api', tablename, 'INSERT')"
                        " FROM pg_tables WHERE schemaname = 'public'"
                    )
                ).all()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    shared = {table for table, may in granted if may}
    assert shared == {table for table, _ in granted if table.startswith("api_")}
    assert len(granted) > len(shared) >= 5
