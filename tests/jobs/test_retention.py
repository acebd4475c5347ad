"""What is old goes, what somebody stands on stays, and an end at any moment does no harm."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from presagio.errors import DataError
from presagio.ingest.curated import labelled_rows
from presagio.ingest.filing import Intake
from presagio.ingest.releasing import release
from presagio.ingest.verify import verify
from presagio.jobs.retention import refuse_deleted_runs, retain
from presagio.orchestration import tasks
from presagio.registry.reader import RegistryReader, open_reader
from presagio.registry.versions import NEWEST_RECEIPT_TAG
from presagio.settings import Settings
from presagio.storage.alarm_entries import close_case, open_case
from presagio.storage.database import open_database
from presagio.storage.objects import ObjectStore
from presagio.storage.receipt import Receipt
from presagio.storage.retention import Retention
from presagio.storage.schema import RECEIPTS
from tests.filing import file_body
from tests.readings import HEADER

pytestmark = pytest.mark.integration

DAYS = {
    f"retain_{name}_days": 30
    for name in ("archive", "receipts", "predictions", "scores", "reports")
}


_BAD = HEADER + b"\nL,300,310,1500,nan,1\n"


def _body(*rows: bytes) -> bytes:
    return b"\n".join([HEADER + b",machine_failure", *rows]) + b"\n"


@dataclass
class Old:
    """Files that were filed 100 days ago, and what removes them."""

    settings: Settings
    intake: Intake
    registry: RegistryReader
    taken: Receipt
    late: Receipt
    copy: Receipt
    refused: Receipt

    def retain(self, *, dry_run: bool = False, **days: int | None) -> dict[str, object]:
        settings = self.settings.model_copy(update=DAYS | days)
        return retain(settings, self.intake, self.registry, dry_run=dry_run)

    def has(self, receipt: Receipt) -> bool:
        key = receipt.outcome.archive_key
        return self.intake.store.head(self.intake.prefixes.bucket, key) is not None

    def numbers(self) -> list[int]:
        receipts = self.intake.ledger.receipts(bucket=self.intake.prefixes.bucket)
        return sorted(receipt.id for receipt in receipts)


@pytest.fixture
def old(plant: Settings, plant_intake: Intake) -> Old:
    taken = file_body(plant_intake, "a.csv", _body(b"L,300,310,1500,40,1,0"))
    late = file_body(plant_intake, "b.csv", _body(b"L,300,310,1500,40,2,0"))
    copy = file_body(plant_intake, "copy.csv", _body(b"L,300,310,1500,40,1,0"))
    refused = file_body(plant_intake, "bad.csv", _BAD)
    engine = open_database(plant)
    with engine.begin() as connection:
        here = RECEIPTS.c.bucket == plant.s3_bucket
        then = sa.text("now() - interval '100 days'")
        connection.execute(sa.update(RECEIPTS).where(here).values(created_at=then))
    engine.dispose()
    return Old(plant, plant_intake, open_reader(plant), taken, late, copy, refused)


def _in_use(old: Old, newest: int | None, alias: str) -> str:
    """Register a version that was trained on files up to a receipt; return its run."""
    client, name = MlflowClient(old.settings.mlflow_url), old.settings.model_name
    run = client.create_run(client.create_experiment(name)).info.run_id
    if newest is not None:
        client.set_tag(run, NEWEST_RECEIPT_TAG, str(newest))
    client.create_registered_model(name)
    version = client.create_model_version(name, f"runs:/{run}/x", run_id=run).version
    client.set_registered_model_alias(name, alias, version)
    return str(run)


def test_everything_stays_by_default(old: Old) -> None:
    found = retain(old.settings, old.intake, old.registry)
    assert found == {"dry_run": False} | dict.fromkeys(
        ("predictions", "scores", "reports", "archive", "receipts")
    )
    assert len(old.numbers()) == 4


def test_originals_go_and_ledger_and_bucket_still_agree(old: Old) -> None:
    assert old.retain(dry_run=True, retain_receipts_days=None)["archive"] == 2
    assert old.has(old.taken)
    assert old.retain(retain_receipts_days=None)["archive"] == 2
    assert (old.has(old.taken), old.has(old.late), old.has(old.refused)) == (False, False, True)
    assert verify(old.intake, deep=True).differences == ()
    # Nothing else stands on them: rows, receipts and what recognises a copy are there.
    assert sum(map(len, labelled_rows(old.intake))) == 2
    again = file_body(old.intake, "again.csv", _body(b"L,300,310,1500,40,1,0"))
    assert again.outcome.verdict == "duplicate"
    # What comes today is kept as long as all that comes today.
    assert old.has(again)
    assert old.retain(retain_receipts_days=None)["archive"] == 0
    assert old.has(again)
    assert verify(old.intake).differences == ()


def test_what_is_not_old_enough_stays(old: Old) -> None:
    settings = old.settings.model_copy(update=dict.fromkeys(DAYS, 101))
    found = retain(settings, old.intake, old.registry)
    assert found == {"dry_run": False} | dict.fromkeys(
        ("predictions", "scores", "reports", "archive", "receipts"), 0
    )


@pytest.mark.parametrize("alias", ["champion", "canary"])
def test_what_a_model_in_use_was_trained_on_stays(old: Old, alias: str) -> None:
    _in_use(old, old.taken.id, alias)
    assert old.retain()["archive"] == 1
    assert (old.has(old.taken), old.has(old.late)) == (True, False)


def test_of_a_model_that_does_not_say_what_it_was_trained_on_everything_stays(old: Old) -> None:
    run = _in_use(old, None, "champion")
    assert old.retain()["archive"] == 0
    assert old.has(old.taken)
    refuse_deleted_runs(old.registry)
    MlflowClient(old.settings.mlflow_url).delete_run(run)
    with pytest.raises(DataError, match="which an alias names, is deleted in MLflow"):
        refuse_deleted_runs(old.registry)


def test_a_file_that_keeps_training_from_starting_stays_until_it_is_released(old: Old) -> None:
    assert old.refused.outcome.verdict == "quarantined"
    old.retain()
    assert old.refused.id in old.numbers()
    assert old.copy.id not in old.numbers()
    release(old.intake, old.refused.id, who="me", why="seen")
    old.retain()
    assert old.numbers() == [old.taken.id, old.late.id]
    quarantine = list(old.intake.store.list(old.intake.prefixes.bucket, "quarantine/"))
    assert quarantine == []
    assert verify(old.intake, deep=True).differences == ()
    # The same bytes are a new file.
    assert file_body(old.intake, "bad.csv", _BAD).id > old.refused.id


def test_what_goes_while_it_is_compared_is_no_difference(
    old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(old.intake, old.refused.id, who="me", why="seen")
    download, calls = old.intake.store.download, list[str]()

    def downloading(bucket: str, key: str, *args: Any, **named: Any) -> Any:
        calls.append(key)
        if len(calls) == 1:
            old.retain()
        return download(bucket, key, *args, **named)

    monkeypatch.setattr(old.intake.store, "download", downloading)
    assert verify(old.intake, deep=True).differences == ()
    assert old.numbers() == [old.taken.id, old.late.id]


def test_an_original_that_is_being_filed_stays(old: Old) -> None:
    identity = old.taken.identity
    with old.intake.ledger.filing(old.intake.ledger.claim(identity, ())):
        old.retain(retain_receipts_days=None)
    assert (old.has(old.taken), old.has(old.late)) == (True, False)


def test_an_original_whose_bytes_come_while_it_is_to_go_stays(
    old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    removing = Retention.removing_originals

    def late(retention: Retention, keys: list[str]) -> Any:
        if old.taken.outcome.archive_key in keys:
            file_body(old.intake, "again.csv", _body(b"L,300,310,1500,40,1,0"))
        return removing(retention, keys)

    monkeypatch.setattr(Retention, "removing_originals", late)
    assert old.retain(retain_receipts_days=None)["archive"] == 1
    assert (old.has(old.taken), old.has(old.late)) == (True, False)


def test_an_original_with_an_open_claim_stays(old: Old) -> None:
    sent = old.taken.identity.__class__(**{**vars(old.taken.identity), "key": "incoming/x.csv"})
    old.intake.ledger.claim(sent, ["x.csv"])
    old.retain(retain_receipts_days=None)
    assert (old.has(old.taken), old.has(old.late)) == (True, False)


@pytest.mark.parametrize("call", [4, 6])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_end_at_any_removal_is_made_good_by_the_next_run(
    old: Old, monkeypatch: pytest.MonkeyPatch, call: int, when: str
) -> None:
    release(old.intake, old.refused.id, who="me", why="seen")
    remove, calls = ObjectStore.remove, list[int]()

    def ending(store: ObjectStore, bucket: str, keys: list[str]) -> None:
        calls.append(1)
        if len(calls) == call and when == "before":
            raise KeyboardInterrupt
        remove(store, bucket, keys)
        if len(calls) == call:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(ObjectStore, "remove", ending)
        old.retain()
    assert verify(old.intake, deep=True).is_clean
    old.retain()
    assert old.numbers() == [old.taken.id, old.late.id]
    assert list(old.intake.store.list(old.intake.prefixes.bucket, "archive/")) == []
    assert verify(old.intake, deep=True).differences == ()
    assert old.intake.ledger.retention(old.intake.prefixes.bucket).unfinished() == []


def test_answers_and_pages_go_by_their_day(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, store = old.settings.data_bucket, old.intake.store
    pages = [f"monitoring/drift-2026{month}01T000000Z.html" for month in ("01", "02", "03")]
    keys = [
        "predictions/date=2026-01-01/a.parquet", "predictions/date=2026-01-02/b.parquet",
        "predictions/date=9999-01-01/c.parquet", "predictions/pumps/date=2026-01-01/d.parquet",
        "scores/date=2026-01-01/receipt-7-part-0.parquet",
        "monitoring/latest.json", "monitoring/pumps/drift-20260101T000000Z.html", *pages,
    ]  # fmt: skip
    for key in keys:
        store.write(bucket, key, b"x")
    for name in ("PREDICTIONS", "SCORES", "REPORTS"):
        monkeypatch.setenv(f"PRESAGIO_RETAIN_{name}_DAYS", "1")
    assert tasks.retain(dry_run=True)["predictions"] == 2
    assert all(store.head(bucket, key) for key in keys)
    found = tasks.retain()
    assert (found["predictions"], found["scores"], found["reports"]) == (2, 1, 2)
    # The newest page stays: metrics and alerts speak of it.
    gone = {*keys[:2], keys[4], *pages[:2]}
    assert {key for key in keys if store.head(bucket, key) is None} == gone


def test_what_an_open_alarm_stands_on_stays(old: Old) -> None:
    """The file whose reading confirmed it, with its scores."""
    engine, bucket = open_database(old.settings), old.settings.data_bucket
    keys = [
        f"scores/date=2026-01-01/receipt-{one.id}-part-0.parquet" for one in (old.taken, old.late)
    ]
    for key in keys:
        old.intake.store.write(bucket, key, b"x")
    values = {
        "fleet": "", "unit": "u", "mode": uuid4().hex, "receipt_id": old.taken.id, "model": "m",
        "version": "1", "reading_time": None, "reading_at": None, "probability": 0.9,
        "diagnosis": None,
    }  # fmt: skip
    with engine.begin() as connection:
        number = open_case(connection, values)
    assert number is not None
    assert (old.retain()["scores"], old.has(old.taken), old.has(old.late)) == (1, True, False)
    assert old.intake.store.head(bucket, keys[0]) is not None
    with engine.begin() as connection:
        assert close_case(connection, number, "quiet", "presagio", "x")
    assert (old.retain()["scores"], old.has(old.taken)) == (1, False)
    engine.dispose()
