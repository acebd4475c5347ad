"""What came of an object, made again from its original bytes: the same, or what it is now."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from presagio.errors import DataError
from presagio.ingest.checking import suffix_of
from presagio.ingest.filing import Intake, outcome_of, with_overlaps
from presagio.ingest.naming import OutputKeys
from presagio.ingest.spool import spool_folder
from presagio.ingest.stored_outputs import ClaimedSource
from presagio.storage.objects import StoredObject
from presagio.storage.receipt import Claim, FilingOutcome, Receipt


@contextmanager
def original(intake: Intake, archive_key: str) -> Iterator[Path]:
    """Fetch an original from the archive, for as long as the block runs.

    Raises
    ------
    DataError
        If it is gone.
    StorageError
        If the store fails.
    """
    with spool_folder() as folder:
        path = folder / "source"
        with path.open("w+b") as file:
            found = intake.store.download(intake.prefixes.bucket, archive_key, file)
        if found is None:
            raise DataError(f"the original {archive_key} is gone; see: presagio ingest verify")
        yield path


def _claimed(intake: Intake, receipt: Receipt, original: Path) -> ClaimedSource:
    claim = intake.ledger.claim(receipt.identity, ())
    return ClaimedSource(original, suffix_of(receipt.identity.key) or "", claim)


def rewrite_outputs(intake: Intake, receipt: Receipt, original: Path) -> Receipt:
    """Write everything that came of an object again, from its original bytes.

    Raises
    ------
    DataError
        If the same bytes would no longer give what the receipt says, as after a change of the
        machine spec; nothing of it is stored then.
    StorageError
        If the store or the ledger fails.
    """
    source = _claimed(intake, receipt, original)
    with intake.ledger.filing(source.claim) as filing:
        return filing.replace_outputs(*outcome_of(intake, source, expected=receipt.outcome))


def file_again(intake: Intake, receipt: Receipt, original: Path) -> Receipt:
    """Check the bytes of a filed object anew; what comes of it takes the place of what did.

    Raises
    ------
    StorageError
        If the store or the ledger fails.
    """
    source = _claimed(intake, receipt, original)
    with intake.ledger.filing(source.claim) as filing:
        outcome, spans = outcome_of(intake, source)
        outcome = with_overlaps(filing, outcome, spans)
        of_events = intake.is_of_events(receipt.identity.key)
        after = filing.replace_outcome(outcome, spans, of_events=of_events)
    intake.on_step("committed")
    for stored in _former(intake, source.claim, after.outcome):
        intake.store.delete_unchanged(*stored)
    return after


def _former(intake: Intake, claim: Claim, outcome: FilingOutcome) -> list[tuple[str, StoredObject]]:
    """Return what came of a file once and no longer does, the last part first."""
    prefixes = intake.of(claim.identity.key).prefixes
    keys = OutputKeys(claim, prefixes)
    places = [(prefixes.bucket, key) for key in sorted(keys.outputs) if key not in outcome.digests]
    found = [(bucket, intake.store.head(bucket, key)) for bucket, key in places]
    # Removed from the end, so that after a kill the rest is found from here again.
    part = len(outcome.curated_keys)
    while (stored := intake.store.head(prefixes.curated_bucket, keys.curated(part))) is not None:
        found.append((prefixes.curated_bucket, stored))
        part += 1
    return [(bucket, stored) for bucket, stored in reversed(found) if stored is not None]
