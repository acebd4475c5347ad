"""Ledger and bucket are brought out of step, found out of step, and repaired."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from presagio.ingest.checking import Limits
from presagio.ingest.comparison import Report
from presagio.ingest.filing import Intake, Step, file_object
from presagio.ingest.verify import verify
from presagio.storage.receipt import ObjectIdentity, Receipt
from tests.ingest.intake_state import BODY, KEY, State, drop, read, state

pytestmark = pytest.mark.integration


@pytest.fixture
def clean(intake: Intake, receipt: Receipt) -> State:
    assert receipt.id
    return state(intake)


def _kinds(report: Report) -> list[str]:
    return [difference.kind for difference in report.differences]


def _remove(intake: Intake, key: str) -> None:
    stored = intake.store.head(intake.prefixes.bucket, key)
    assert stored is not None
    assert intake.store.delete_unchanged(intake.prefixes.bucket, stored)


def test_nothing_is_wrong_after_a_clean_run(intake: Intake, receipt: Receipt) -> None:
    report = verify(intake, deep=True)
    assert report.is_clean
    assert report.differences == ()
    assert (report.receipts, report.objects) == (1, 4)
    assert (report.rows_in, report.rows_processed, report.rows_quarantined) == (10, 8, 2)
    assert receipt.outcome.rows_in == 10


OUTPUTS: dict[str, Callable[[Receipt], str | None]] = {
    "processed": lambda receipt: receipt.outcome.processed_key,
    "quarantine": lambda receipt: receipt.outcome.quarantine_key,
    "curated": lambda receipt: receipt.outcome.curated_keys[0],
}


@pytest.mark.parametrize("which", OUTPUTS)
def test_an_output_that_is_gone_is_made_again(
    intake: Intake, receipt: Receipt, clean: State, which: str
) -> None:
    _remove(intake, str(OUTPUTS[which](receipt)))
    assert _kinds(verify(intake)) == ["output_missing"]
    assert not verify(intake).is_clean
    assert verify(intake, repair=True).is_clean
    assert state(intake) == clean
    assert verify(intake, deep=True).differences == ()


def test_an_output_that_was_altered_is_found_by_reading_it(
    intake: Intake, receipt: Receipt, clean: State
) -> None:
    drop(intake, str(receipt.outcome.processed_key), b"other")
    assert verify(intake).differences == ()
    assert _kinds(verify(intake, deep=True)) == ["output_altered"]
    assert verify(intake, deep=True, repair=True).is_clean
    assert state(intake) == clean


def test_an_original_that_is_gone_can_only_be_reported(intake: Intake, receipt: Receipt) -> None:
    _remove(intake, receipt.outcome.archive_key)
    report = verify(intake, repair=True)
    assert _kinds(report) == ["original_missing"]
    assert receipt.identity.sha256 in report.differences[0].message
    assert not report.is_clean


def test_a_source_with_a_receipt_is_removed(intake: Intake, receipt: Receipt, clean: State) -> None:
    drop(intake)
    report = verify(intake)
    assert _kinds(report) == ["not_removed"]
    assert report.differences[0].receipt_id == receipt.id
    assert verify(intake, repair=True).is_clean
    assert state(intake) == clean


def test_other_bytes_under_the_name_of_a_receipt_wait_to_be_filed(
    intake: Intake, receipt: Receipt
) -> None:
    drop(intake, body=BODY.replace(b"300", b"299"))
    assert verify(intake, repair=True).differences == ()
    assert read(intake, KEY)
    assert receipt.id


def _die_after(intake: Intake, step: Step) -> None:
    def die(at: Step) -> None:
        if at == step:
            raise KeyboardInterrupt

    drop(intake)
    with suppress(KeyboardInterrupt):
        file_object(replace(intake, on_step=die), KEY)


def test_a_file_that_was_begun_and_waits_is_no_difference(intake: Intake) -> None:
    _die_after(intake, "processed_written")
    assert verify(intake).differences == ()


def test_a_file_that_was_begun_and_is_gone_is_filed_from_the_archive(
    intake: Intake, new_intake: Callable[[], Intake]
) -> None:
    other = new_intake()
    drop(other)
    file_object(other, KEY)
    _die_after(intake, "processed_written")
    _remove(intake, KEY)
    assert _kinds(verify(intake)) == ["unfinished"]
    assert verify(intake, repair=True).is_clean
    assert state(intake) == state(other)


def test_a_file_that_was_taken_away_before_it_was_archived_is_reported(intake: Intake) -> None:
    _die_after(intake, "claimed")
    _remove(intake, KEY)
    assert _kinds(verify(intake, repair=True)) == ["withdrawn"]


def test_an_object_that_no_receipt_knows_is_left_alone(intake: Intake, receipt: Receipt) -> None:
    drop(intake, "processed/stranger.csv", b"x")
    report = verify(intake, repair=True)
    assert _kinds(report) == ["unknown_object"]
    assert read(intake, "processed/stranger.csv") == b"x"
    assert receipt.id


def test_a_file_that_is_being_filed_hides_no_stranger(intake: Intake) -> None:
    bucket = intake.prefixes.bucket
    identity = ObjectIdentity(bucket, "incoming/r.csv", "1", "ab12" * 16, 1)
    drop(intake, "incoming/r.csv", b"x")
    intake.ledger.claim(identity, ["r.csv"])
    drop(intake, "processed/r.csv", b"its own")
    drop(intake, "processed/stranger.csv", b"a name with an r in it")
    (difference,) = verify(intake).differences
    assert difference.key == f"{bucket}/processed/stranger.csv"


def test_a_curated_data_set_may_be_shared(
    intake: Intake, new_intake: Callable[[], Intake], receipt: Receipt
) -> None:
    other = new_intake()
    shared = other.prefixes.model_copy(update={"curated_bucket": intake.prefixes.bucket})
    drop(other)
    assert file_object(replace(other, prefixes=shared), KEY)
    assert verify(intake).differences == ()
    assert receipt.id


def test_another_bucket_with_the_same_keys_hides_no_stranger(
    new_intake: Callable[[], Intake], receipt: Receipt
) -> None:
    assert receipt.outcome.processed_key
    other = new_intake()
    drop(other, receipt.outcome.processed_key, b"x")
    own = other.prefixes.model_copy(update={"curated_bucket": other.prefixes.bucket})
    assert _kinds(verify(replace(other, prefixes=own))) == ["unknown_object"]


def test_what_another_spec_would_judge_otherwise_is_not_repaired(
    intake: Intake, receipt: Receipt
) -> None:
    _remove(intake, str(receipt.outcome.processed_key))
    narrow = intake.spec.features[4].model_copy(update={"range": (0.0, 5.0), "example": 1.0})
    spec = intake.spec.model_copy(update={"features": (*intake.spec.features[:4], narrow)})
    report = verify(replace(intake, spec=spec), repair=True)
    assert not report.is_clean
    assert "not repaired" in report.differences[0].message


def test_a_file_that_is_too_large_is_named_and_stays(intake: Intake) -> None:
    drop(intake, "incoming/large.csv", b"x" * 2000)
    assert verify(intake).differences == ()
    small = replace(intake, limits=Limits(max_file_bytes=1000))
    (found,) = verify(small, repair=True).differences
    assert (found.kind, found.repaired) == ("too_large", False)
    assert "it stays where it is" in found.message
    assert intake.store.head(intake.prefixes.bucket, "incoming/large.csv") is not None
