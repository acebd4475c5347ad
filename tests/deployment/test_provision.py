"""What a step of the deployment needs, and says where it is missing."""

from pathlib import Path

import pytest

from presagio.deployment.provision import provision_databases
from presagio.errors import SettingsError
from presagio.settings import Settings


def test_a_password_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PRESAGIO_POSTGRES_PASSWORD is not set"):
        provision_databases(Settings(home=tmp_path))
