"""The audit log has an entry of each change, before the change is made."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from presagio.storage.audit import AuditLog
from presagio.storage.database import open_database
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings)
    yield engine
    engine.dispose()


@pytest.fixture
def about() -> dict[str, Any]:
    return {
        "who": "ana", "scope": "admin", "action": "fleet.add", "target": f"fleet {uuid4().hex}",
        "why": "a new line", "detail": {"spec_sha256": "12"},
    }  # fmt: skip


def test_a_change_has_its_entry_before_it_is_made(engine: sa.Engine, about: dict[str, Any]) -> None:
    log, other = AuditLog(engine), AuditLog(engine)
    with log.change(**about) as entry:
        assert other.entries(target=about["target"]) == [entry]
    assert log.entries(target=about["target"]) == [entry]
    assert {name: getattr(entry, name) for name in about} == about


def test_a_change_that_fails_has_another_entry_that_says_why(
    engine: sa.Engine, about: dict[str, Any]
) -> None:
    log = AuditLog(engine)
    with pytest.raises(RuntimeError, match="no API"), log.change(**about):
        raise RuntimeError("no API \0 answers" + "!" * 1000)
    failed, entry = log.entries(target=about["target"])
    assert (failed.action, failed.who, failed.scope) == ("fleet.add.failed", "ana", "admin")
    assert failed.detail["entry"] == entry.id
    assert failed.detail["fault"].startswith("RuntimeError: no API \ufffd answers")
    assert len(failed.detail["fault"]) <= 500
