from collections.abc import Callable

import pytest

from presagio.ingest.filing import Intake, file_object
from tests.ingest.intake_state import KEY, State, drop, state


@pytest.fixture
def clean_run(new_intake: Callable[[], Intake]) -> State:
    """What one run that nothing disturbs leaves of the usual file."""
    intake = new_intake()
    drop(intake)
    file_object(intake, KEY, run_id="test")
    return state(intake)
