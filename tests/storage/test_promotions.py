"""The ledger of promotions, in the real PostgreSQL."""

import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlalchemy as sa

from presagio.errors import StorageError
from presagio.storage.database import open_database
from presagio.storage.promotions import Decision, Promotions
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings)
    yield engine
    engine.dispose()


@pytest.fixture
def promotions(engine: sa.Engine) -> Promotions:
    return Promotions(engine)


@pytest.fixture
def model() -> str:
    return f"model-{uuid4().hex[:8]}"


def _record(promotions: Promotions, decision: Decision) -> None:
    with promotions.deciding(decision.model) as maker:
        maker.record(decision)


def test_decisions_are_kept_the_newest_first(promotions: Promotions, model: str) -> None:
    first = Decision(model, "1", "promotion", "ana", "the first", figures={"rows": 3})
    second = Decision(model, "2", "refusal", "ana", "no better", previous="1", data_sha256="ab")
    for decision in (first, second):
        _record(promotions, decision)
    history = promotions.history(model)
    assert [recorded.decision for recorded in history] == [second, first]
    assert history[0].id > history[1].id
    assert promotions.history("another") == []


def test_the_predecessor_is_who_was_champion_before(promotions: Promotions, model: str) -> None:
    _record(promotions, Decision(model, "1", "promotion", "ana", "x"))
    _record(promotions, Decision(model, "2", "promotion", "ana", "x", previous="1"))
    _record(promotions, Decision(model, "3", "refusal", "ana", "x", previous="2"))
    _record(promotions, Decision(model, "1", "rollback", "ana", "x", previous="2"))
    with promotions.deciding(model) as maker:
        assert maker.predecessor(model, "2") == "1"
        assert maker.predecessor(model, "1") == "2"
        assert maker.predecessor(model, "3") is None


def test_nothing_is_ever_altered(engine: sa.Engine, promotions: Promotions, model: str) -> None:
    _record(promotions, Decision(model, "1", "promotion", "ana", "x"))
    for statement in ("UPDATE promotions SET who = 'eve'", "DELETE FROM promotions",
                      "TRUNCATE promotions"):  # fmt: skip
        with pytest.raises(sa.exc.DBAPIError, match="can only be added"), engine.begin() as own:
            own.execute(sa.text(statement))
    assert promotions.history(model)[0].decision.who == "ana"


def test_what_fails_is_not_recorded(promotions: Promotions, model: str) -> None:
    def fail_after_recording() -> None:
        with promotions.deciding(model) as maker:
            maker.record(Decision(model, "1", "promotion", "ana", "x"))
            raise RuntimeError("the alias cannot be moved")

    with pytest.raises(RuntimeError):
        fail_after_recording()
    assert promotions.history(model) == []


def test_a_kind_that_is_none_is_refused(promotions: Promotions, model: str) -> None:
    with pytest.raises(StorageError):
        _record(promotions, Decision(model, "1", "coup", "eve", "x"))  # type: ignore[arg-type]


def test_of_two_at_once_one_waits(promotions: Promotions, model: str) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with promotions.deciding(model):
            order.append("second")

    other = threading.Thread(target=second)
    other.start()
    with promotions.deciding(model):
        inside.set()
        time.sleep(0.3)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
