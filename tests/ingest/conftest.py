from collections.abc import Callable

import pytest

from presagio.ingest.filing import Intake, file_object
from presagio.storage.receipt import Receipt
from tests.ingest.intake_state import KEY, State, drop, state


@pytest.fixture
def clean_run(new_intake: Callable[[], Intake]) -> State:
    """What one run that nothing disturbs leaves of the usual file."""
    intake = new_intake()
    drop(intake)
    file_object(intake, KEY, run_id="test")
    return state(intake)


@pytest.fixture
def receipt(intake: Intake) -> Receipt:
    """The receipt of the usual file, filed."""
    drop(intake)
    receipt = file_object(intake, KEY)
    assert receipt is not None
    return receipt
