"""Check files again that were filed before: the same bytes under another machine spec or limit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

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


def outdated(intake: Intake) -> Sequence[int]:
    """Return the receipts of files that were checked under another machine spec, oldest first."""
    prefix = intake.events_prefix
    of_events = None if prefix is None else (prefix, intake.of_events.spec.digest)
    bucket = intake.prefixes.bucket
    return intake.ledger.outdated(bucket, intake.spec.digest, of_events=of_events)


def require_receipts(intake: Intake, numbers: Sequence[int]) -> None:
    """Refuse numbers of which one is no receipt's.

    Raises
    ------
    NotFoundError
        If there is no such receipt in this bucket.
    """
    for number in numbers:
        _receipt(intake, number)


def _receipt(intake: Intake, number: int) -> Receipt:
    found = intake.ledger.receipts(number=number, bucket=intake.prefixes.bucket)
    if not found:
        raise NotFoundError(f"there is no receipt {number}; see: presagio receipts")
    return found[0]


def check_again(intake: Intake, numbers: Sequence[int]) -> Iterator[CheckedAgain]:
    """Check the original bytes of files anew, and put what comes of it in place of what did.

    A kill at any moment leaves a receipt as it was, or as it is now; to check again once more ends
    in the same state.

    Parameters
    ----------
    intake
        Where originals and ledger are, and the machine spec of today.
    numbers
        Of the files' receipts.

    Yields
    ------
    CheckedAgain
        One a receipt; whatever keeps one from being checked does not keep the others.

    Raises
    ------
    NotFoundError
        If there is no such receipt.
    StorageError
        If store or ledger fail.
    """
    for receipt in map(partial(_receipt, intake), numbers):
        if receipt.outcome.verdict == "duplicate":
            same = f"it has the bytes of receipt {receipt.outcome.duplicate_of}"
            yield CheckedAgain(receipt, None, same)
            continue
        try:
            with original(intake, receipt.outcome.archive_key) as path:
                yield CheckedAgain(receipt, file_again(intake, receipt, path))
        except DataError as err:
            yield CheckedAgain(receipt, None, str(err))
