"""What the tests of pages look at: a fleet of engines, one a file of tests."""

from collections.abc import Iterator

import pytest

from presagio.settings import Settings
from tests.console.watched_fleet import EngineFleet, engine_fleet


@pytest.fixture(scope="module")
def fleet(
    console_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineFleet]:
    """Two engines of which some readings are filed and scored."""
    with engine_fleet(console_settings, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet
