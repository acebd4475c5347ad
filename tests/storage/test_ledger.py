import threading
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from presagio.errors import StorageError
from presagio.settings import Settings
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger
from presagio.storage.migration import MIGRATIONS, migrate
from presagio.storage.receipt import Claim, FilingOutcome, ObjectIdentity, Receipt
from tests.conftest import RunningServices, free_ports

pytestmark = pytest.mark.integration

OUTCOME = FilingOutcome(
    "processed", 3, 2, 1, {"missing": 1}, archive_key="archive/x.csv", curated_keys=["a"],
    digests={"a": "b"}, notes={"encoding": "utf-8"}, warnings=["w"],
)  # fmt: skip


@pytest.fixture
def identity() -> ObjectIdentity:
    return _identity()


def _identity(bucket: str | None = None) -> ObjectIdentity:
    number = uuid4().hex
    return ObjectIdentity(bucket or f"b-{number}", f"incoming/{number}.csv", "etag", number, 10)


@pytest.fixture
def claim(ledger: Ledger, identity: ObjectIdentity) -> Claim:
    return ledger.claim(identity, ["name.csv"])


def _file(
    ledger: Ledger, identity: ObjectIdentity, outcome: FilingOutcome | None = None
) -> Receipt:
    claim = ledger.claim(identity, [f"{uuid4().hex}.csv"])
    with ledger.filing(claim) as filing:
        return filing.commit_receipt(outcome or OUTCOME, None)


def test_a_claim_is_kept_with_its_name(ledger: Ledger, identity: ObjectIdentity) -> None:
    first = ledger.claim(identity, ["a.csv", "b.csv"])
    again = ledger.claim(identity, ["c.csv"])
    assert (first.name, first.attempts) == ("a.csv", 1)
    assert again == replace(first, attempts=2)


def test_a_name_belongs_to_one_object(ledger: Ledger, identity: ObjectIdentity) -> None:
    names = ["a.csv", "b.csv"]
    claims = [ledger.claim(replace(identity, sha256=sha256), names) for sha256 in ("one", "two")]
    assert [claim.name for claim in claims] == names
    with pytest.raises(StorageError, match="no name is free"):
        ledger.claim(replace(identity, sha256="three"), names)


def test_claims_without_a_receipt_are_open(ledger: Ledger, identity: ObjectIdentity) -> None:
    claim = ledger.claim(identity, ["a.csv"])
    assert ledger.open_claims(identity.bucket) == [claim]
    with ledger.filing(claim) as filing:
        filing.commit_receipt(OUTCOME, None)
    assert ledger.open_claims(identity.bucket) == []


def test_a_receipt_is_kept(ledger: Ledger, identity: ObjectIdentity, claim: Claim) -> None:
    with ledger.filing(claim) as filing:
        assert filing.earlier() is None
        written = filing.commit_receipt(OUTCOME, "run-1")
    (read,) = ledger.receipts(key=identity.key)
    assert read == written
    assert (read.identity, read.outcome, read.run_id) == (identity, OUTCOME, "run-1")


def test_an_error_takes_the_receipt_back(
    ledger: Ledger, identity: ObjectIdentity, claim: Claim
) -> None:
    def file_and_fail() -> None:
        with ledger.filing(claim) as filing:
            filing.commit_receipt(OUTCOME, None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file_and_fail()
    assert ledger.receipts(key=identity.key) == []


def test_the_database_refuses_counts_that_lose_a_row(ledger: Ledger, claim: Claim) -> None:
    with pytest.raises(StorageError, match="no_row_lost"), ledger.filing(claim) as filing:
        filing.commit_receipt(replace(OUTCOME, rows_in=4), None)


def test_the_database_refuses_a_second_receipt(ledger: Ledger, claim: Claim) -> None:
    def file_twice() -> None:
        with ledger.filing(claim) as filing:
            filing.commit_receipt(OUTCOME, None)
            filing.commit_receipt(OUTCOME, None)

    with pytest.raises(StorageError, match="receipts_pkey"):
        file_twice()


def test_of_two_runs_one_waits_for_the_other(ledger: Ledger, claim: Claim) -> None:
    inside, seen = threading.Event(), []

    def second() -> None:
        inside.wait()
        with ledger.filing(claim) as filing:
            seen.append(filing.earlier())

    other = threading.Thread(target=second)
    other.start()
    with ledger.filing(claim) as filing:
        inside.set()
        other.join(0.3)
        assert other.is_alive()
        first = filing.commit_receipt(OUTCOME, "first")
    other.join()
    assert seen == [first]


def test_the_same_bytes_under_another_key_are_found(
    ledger: Ledger, identity: ObjectIdentity
) -> None:
    first = _file(ledger, identity)
    other = ledger.claim(replace(identity, key="incoming/other.csv"), ["other.csv"])
    with ledger.filing(other) as filing:
        assert filing.earlier() is None
        assert filing.same_bytes() == first
        filing.commit_receipt(FilingOutcome("duplicate", duplicate_of=first.id), None)
    assert len(ledger.receipts(bucket=identity.bucket)) == 2
    assert ledger.receipts(bucket=identity.bucket, verdict="processed") == [first]


def test_a_duplicate_names_what_it_repeats(ledger: Ledger, claim: Claim) -> None:
    with pytest.raises(StorageError, match="known_verdict"), ledger.filing(claim) as filing:
        filing.commit_receipt(FilingOutcome("duplicate"), None)


def test_new_bytes_under_the_same_key_are_another_object(
    ledger: Ledger, identity: ObjectIdentity
) -> None:
    _file(ledger, identity)
    _file(ledger, replace(identity, version="new", sha256="new"))
    assert len(ledger.receipts(key=identity.key)) == 2


REFUSED = FilingOutcome("quarantined", notes={"refused": "too_many_bad_rows"}, message="bad")


def test_a_refused_file_blocks_until_it_is_released(
    ledger: Ledger, identity: ObjectIdentity
) -> None:
    refused = _file(ledger, identity, REFUSED)
    assert ledger.blocking(identity.bucket, ["too_many_bad_rows"]) == [refused]
    assert ledger.blocking(identity.bucket, ["unit_suspected"]) == []
    assert ledger.release(refused.id, who="someone", why="sensor was off") == refused
    assert ledger.release(refused.id, who="another", why="again") == refused
    (entry,) = ledger.audit().entries(target=f"receipt {refused.id}")
    assert (entry.who, entry.action, entry.why) == ("someone", "file.release", "sensor was off")
    assert ledger.blocking(identity.bucket, ["too_many_bad_rows"]) == []
    assert ledger.release(-1, who="someone", why="nothing") is None


def test_a_refused_file_no_longer_blocks_once_a_better_one_came(
    ledger: Ledger, identity: ObjectIdentity
) -> None:
    _file(ledger, identity, REFUSED)
    _file(ledger, _identity(identity.bucket))
    assert len(ledger.blocking(identity.bucket, ["too_many_bad_rows"])) == 1
    _file(ledger, replace(identity, version="new", sha256="new"))
    assert ledger.blocking(identity.bucket, ["too_many_bad_rows"]) == []


def test_migrations_can_be_run_again(services: RunningServices) -> None:
    engine = open_database(services.settings)
    before = sa.inspect(engine).get_columns("receipts")
    migrate(engine)
    assert [c["name"] for c in sa.inspect(engine).get_columns("receipts")] == [
        c["name"] for c in before
    ]
    engine.dispose()


def test_receipts_from_before_claims_are_kept(services: RunningServices) -> None:
    engine = open_database(services.settings)
    schema = f"old_{uuid4().hex[:8]}"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        connection.execute(sa.text(f"SET LOCAL search_path TO {schema}"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for key in ("incoming/a.csv", "incoming/b.csv"):
            connection.execute(
                sa.text(
                    "INSERT INTO receipts (bucket, key, etag, sha256, size_bytes, verdict, "
                    "rows_in, rows_processed, rows_quarantined, reasons, archive_key) VALUES "
                    "('b', :key, 'e', :key, 1, 'processed', 3, 3, 0, '{}', 'archive/x.csv')"
                ),
                {"key": key},
            )
        command.upgrade(config, "head")
        rows = connection.execute(
            sa.text("SELECT r.id, r.version, c.key FROM receipts r JOIN claims c USING (id)")
        ).all()
        assert [tuple(row) for row in rows] == [
            (1, "e", "incoming/a.csv"), (2, "e", "incoming/b.csv"),
        ]  # fmt: skip
        new = "INSERT INTO claims (bucket, key, version, sha256, size_bytes, name) VALUES "
        connection.execute(sa.text(new + "('b', 'k', 'v', 's', 1, 'n')"))
        assert connection.execute(sa.text("SELECT max(id) FROM claims")).scalar() == 3
        command.downgrade(config, "0001")
        assert connection.execute(sa.text("SELECT count(*) FROM receipts")).scalar() == 2
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


def test_a_database_that_is_away_is_a_storage_error(
    services: RunningServices, identity: ObjectIdentity
) -> None:
    url = services.credentials.database_url(free_ports(), "presagio")
    away = Settings.model_validate({**services.settings.model_dump(), "database_url": url})
    with pytest.raises(StorageError, match="PRESAGIO_DATABASE_URL"):
        Ledger(open_database(away)).receipts(key=identity.key)
