"""Who waits for PostgreSQL waits for so long and no longer, and is told why in our own errors."""

import contextlib
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from presagio.errors import RefusedValueError, StorageError
from presagio.storage.database import Waits, open_database, translated
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration

WAITS = Waits(statement_s=0.2, lock_s=0.1, connection_s=0.1)


@pytest.fixture
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings, WAITS)
    yield engine
    engine.dispose()


def _ask(engine: sa.Engine, statement: str) -> None:
    with translated(), engine.begin() as connection:
        connection.execute(sa.text(statement))


def test_a_statement_is_given_up(engine: sa.Engine) -> None:
    with pytest.raises(StorageError, match="QueryCanceled"):
        _ask(engine, "SELECT pg_sleep(30)")


def test_a_lock_is_given_up(engine: sa.Engine) -> None:
    lock = "SELECT pg_advisory_xact_lock(4711)"
    with engine.begin() as holder:
        holder.execute(sa.text(lock))
        with pytest.raises(StorageError, match="LockNotAvailable"):
            _ask(engine, lock)


def test_connections_that_others_use_are_not_waited_for_without_end(engine: sa.Engine) -> None:
    with contextlib.ExitStack() as used:
        for _ in range(8):
            used.enter_context(engine.connect())
        with pytest.raises(StorageError, match="in use"):
            _ask(engine, "SELECT 1")


@pytest.mark.parametrize("statement", ["SELECT 1/0", "SELECT 'x'::int", "SELECT :nul"])
def test_what_is_wrong_with_a_value_is_told_from_an_outage(
    statement: str, services: RunningServices
) -> None:
    engine = open_database(services.settings, kept=False)
    values = {"nul": "\0"} if ":nul" in statement else {}
    with pytest.raises(RefusedValueError), translated(), engine.connect() as connection:
        connection.execute(sa.text(statement), values)
