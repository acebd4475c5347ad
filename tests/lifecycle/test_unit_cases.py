"""States and cases of units in the real PostgreSQL, in the transaction of a receipt."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
import sqlalchemy as sa

from presagio.lifecycle.unit_cases import ScoredReading, UnitCases
from presagio.machine.learning import AlarmRule
from presagio.storage.arrivals import Scoring
from presagio.storage.database import open_database
from presagio.storage.unit_states import UnitStates
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration

SCORES: dict[str, Any] = {
    "label": False, "probability": 0.1, "score": -1.0, "mode": None,
    "remaining_life": None, "remaining_low": None, "remaining_high": None,
}  # fmt: skip


@pytest.fixture
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings)
    yield engine
    engine.dispose()


def test_a_reading_of_a_wrong_clock_does_not_silence_its_unit(engine: sa.Engine) -> None:
    """All that follows would be older than it, for years."""
    fleet = f"fleet-{uuid4().hex[:8]}"

    def follow(*times: float) -> int:
        with engine.begin() as connection:
            scoring = Scoring(connection, fleet, cast("Any", SimpleNamespace(id=7)))
            cases = UnitCases(scoring, AlarmRule(), "m", "1", lambda _: None, latest=10.0)
            cases.follow({"u": [ScoredReading(time, str(time), SCORES, 0) for time in times]})
        return cases.ahead

    assert follow(1.0, 9e9) == 1
    assert follow(2.0) == 0
    state = UnitStates(engine, fleet).one("u")
    assert state is not None
    assert state.reading_time == 2.0
