import threading
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa

from presagio.errors import StorageError
from presagio.ingest.filing import Intake
from presagio.settings import Settings
from presagio.storage.database import migrate, open_database
from presagio.storage.ledger import Ledger, ObjectIdentity, Outcome
from tests.conftest import RunningServices, free_ports

pytestmark = pytest.mark.integration

OUTCOME = Outcome("processed", 3, 2, 1, {"missing": 1}, None, None, "archive/x.csv")


@pytest.fixture
def ledger(intake: Intake) -> Ledger:
    return intake.ledger


@pytest.fixture
def identity() -> ObjectIdentity:
    return ObjectIdentity("bucket", f"incoming/{uuid4().hex}.csv", "etag", "digest", 10)


def test_a_receipt_is_kept(ledger: Ledger, identity: ObjectIdentity) -> None:
    with ledger.filing(identity) as filing:
        assert filing.earlier() is None
        written = filing.commit_receipt(OUTCOME, "run-1")
    (read,) = ledger.receipts(key=identity.key)
    assert read == written
    assert (read.identity, read.outcome, read.run_id) == (identity, OUTCOME, "run-1")


def test_an_error_takes_the_receipt_back(ledger: Ledger, identity: ObjectIdentity) -> None:
    def file_and_fail() -> None:
        with ledger.filing(identity) as filing:
            filing.commit_receipt(OUTCOME, None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file_and_fail()
    assert ledger.receipts(key=identity.key) == []


def test_the_database_refuses_counts_that_lose_a_row(
    ledger: Ledger, identity: ObjectIdentity
) -> None:
    with pytest.raises(StorageError, match="no_row_lost"), ledger.filing(identity) as filing:
        filing.commit_receipt(replace(OUTCOME, rows_in=4), None)


def test_the_database_refuses_a_second_receipt(ledger: Ledger, identity: ObjectIdentity) -> None:
    def file_twice() -> None:
        with ledger.filing(identity) as filing:
            filing.commit_receipt(OUTCOME, None)
            filing.commit_receipt(OUTCOME, None)

    with pytest.raises(StorageError, match="one_receipt_an_object"):
        file_twice()


def test_of_two_runs_one_waits_for_the_other(ledger: Ledger, identity: ObjectIdentity) -> None:
    inside, seen = threading.Event(), []

    def second() -> None:
        inside.wait()
        with ledger.filing(identity) as filing:
            seen.append(filing.earlier())

    other = threading.Thread(target=second)
    other.start()
    with ledger.filing(identity) as filing:
        inside.set()
        other.join(0.3)
        assert other.is_alive()
        first = filing.commit_receipt(OUTCOME, "first")
    other.join()
    assert seen == [first]


def test_new_bytes_under_the_same_key_are_another_object(
    ledger: Ledger, identity: ObjectIdentity
) -> None:
    for etag in ("one", "two"):
        with ledger.filing(replace(identity, etag=etag)) as filing:
            assert filing.earlier() is None
            filing.commit_receipt(OUTCOME, None)
    assert len(ledger.receipts(key=identity.key)) == 2


def test_migrations_can_be_run_again(services: RunningServices) -> None:
    engine = open_database(services.settings)
    before = sa.inspect(engine).get_columns("receipts")
    migrate(engine)
    assert [c["name"] for c in sa.inspect(engine).get_columns("receipts")] == [
        c["name"] for c in before
    ]


def test_a_database_that_is_away_is_a_storage_error(
    services: RunningServices, identity: ObjectIdentity
) -> None:
    url = services.credentials.database_url(free_ports(), "presagio")
    away = Settings.model_validate({**services.settings.model_dump(), "database_url": url})
    with pytest.raises(StorageError, match="PRESAGIO_DATABASE_URL"):
        Ledger(open_database(away)).receipts(key=identity.key)
