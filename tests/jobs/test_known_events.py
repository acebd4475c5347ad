"""What a fleet's logs say, read by one page at a time."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from presagio.errors import StorageError
from presagio.jobs import known_events
from presagio.jobs.known_events import KnownEvents
from tests.engines import engines

pytestmark = pytest.mark.unit


def test_pages_wait_in_no_row_for_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_events, "_WAIT_S", 0.01)
    events = KnownEvents(cast("Any", SimpleNamespace(spec=engines())))
    with events._lock, pytest.raises(StorageError, match="takes long"):
        events.read()
