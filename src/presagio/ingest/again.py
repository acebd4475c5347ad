"""Check files again that were filed before: the same bytes under another machine spec or limit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from presagio.errors import DataError, NotFoundError
from presagio.ingest.filing import Intake
from presagio.ingest.originals import file_again, original
from presagio.storage.receipt import Receipt


@dataclass(frozen=True)
class CheckedAgain:
    """A receipt before and after; ``after`` is None where ``message`` says why there is none."""

    before: Receipt
    after: Receipt | None
    message: str | None = None


def outdated(intake: Intake) -> list[Receipt]:
    """Return the receipts of files that were checked under another machine spec, oldest first."""
    receipts = intake.ledger.receipts(bucket=intake.prefixes.bucket, limit=None)
    digests = {False: intake.spec.digest}
    if intake.spec.is_series:
        digests[True] = intake.of_events.spec.digest
    return [
        receipt
        for receipt in reversed(receipts)
        if receipt.outcome.verdict != "duplicate"
        and receipt.outcome.notes.get("spec_sha256")
        != digests[intake.is_of_events(receipt.identity.key)]
    ]


def receipts_of(intake: Intake, numbers: Sequence[int]) -> list[Receipt]:
    """Return receipts by their numbers.

    Raises
    ------
    NotFoundError
        If there is no such receipt in this bucket.
    """
    found = []
    for number in numbers:
        receipts = intake.ledger.receipts(number=number, bucket=intake.prefixes.bucket)
        if not receipts:
            raise NotFoundError(f"there is no receipt {number}; see: presagio receipts")
        found += receipts
    return found


def check_again(intake: Intake, receipts: Sequence[Receipt]) -> Iterator[CheckedAgain]:
    """Check the original bytes of files anew, and put what comes of it in place of what did.

    A kill at any moment leaves a receipt as it was, or as it is now; to check again once more ends
    in the same state.

    Parameters
    ----------
    intake
        Where originals and ledger are, and the machine spec of today.
    receipts
        Of the files.

    Yields
    ------
    CheckedAgain
        One a receipt; whatever keeps one from being checked does not keep the others.

    Raises
    ------
    StorageError
        If store or ledger fail.
    """
    for receipt in receipts:
        if receipt.outcome.verdict == "duplicate":
            same = f"it has the bytes of receipt {receipt.outcome.duplicate_of}"
            yield CheckedAgain(receipt, None, same)
            continue
        try:
            with original(intake, receipt.outcome.archive_key) as path:
                yield CheckedAgain(receipt, file_again(intake, receipt, path))
        except DataError as err:
            yield CheckedAgain(receipt, None, str(err))
