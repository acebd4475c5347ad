"""What a step of the deployment needs, and says where it is missing."""

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
