"""What a step of the deployment needs, and says where it is missing."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from presagio.deployment.provision import provision_databases, provision_ledger
from presagio.errors import SettingsError
from presagio.settings import Settings
from presagio.storage.database import open_database
from tests.conftest import RunningServices


def test_a_password_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PRESAGIO_POSTGRES_PASSWORD is not set"):
        provision_databases(Settings(home=tmp_path))


@pytest.mark.integration
def test_the_ledger_is_brought_up_to_date_without_a_superuser(services: RunningServices) -> None:
    """As its owner, where somebody else has made roles and databases; again and again."""
    for _ in range(2):
        provision_ledger(services.settings)
    engine = open_database(services.settings)
    assert sa.inspect(engine).has_table("receipts")
    engine.dispose()


@pytest.mark.integration
def test_the_console_is_never_without_its_rights(
    services: RunningServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights are taken and given again; who works meanwhile has them all the time."""
    variables = services.credentials.database_variables()
    monkeypatch.setenv("PRESAGIO_POSTGRES_PORT", str(services.ports.postgres))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    engine, found, ended = open_database(services.settings), set[bool](), threading.Event()
    may_read = sa.text(
        "SELECT bool_and(has_table_privilege('presagio_console', quote_ident(tablename), 'SELECT'))"
        " FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'api\\_%'"
    )

    def look() -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not ended.is_set():
                found.add(bool(connection.scalar(may_read)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(3):
            provision_databases(services.settings)
    finally:
        ended.set()
        looking.join()
        engine.dispose()
    assert found == {True}
