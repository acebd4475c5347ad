"""Release a file that was refused whole, so that it no longer keeps training from starting."""

from dataclasses import dataclass

from presagio.errors import NotFoundError
from presagio.ingest.filing import Intake
from presagio.ingest.verdict import BLOCKING
from presagio.storage.receipt import Receipt


@dataclass(frozen=True)
class Release:
    """What came of asking for a release.

    Attributes
    ----------
    receipt
        The receipt of the file.
    released
        Whether this call has released it.
    blocked
        Whether it has ever kept training from starting.
    note
        In words.
    """

    receipt: Receipt
    released: bool
    blocked: bool
    note: str


def _why_not(receipt: Receipt, bucket: str) -> str:
    """Say why a receipt that is not released blocks nothing."""
    done, refused = receipt.outcome, receipt.outcome.notes.get("refused")
    if receipt.identity.bucket != bucket:
        return f"it is a file of the bucket {receipt.identity.bucket}, not of {bucket}"
    if done.verdict == "processed":
        return "its rows were taken"
    if done.verdict == "duplicate":
        return f"it has the same bytes as receipt {done.duplicate_of}"
    if refused not in BLOCKING:
        return f"it was refused for another reason ({refused})"
    return "a later file of its name was taken in its place"


def release(intake: Intake, number: int, *, who: str, why: str) -> Release:
    """Let training go on without a file that was refused whole.

    Parameters
    ----------
    intake
        Where the ledger is.
    number
        The file's receipt.
    who, why
        For the ledger, and for the audit log.

    Raises
    ------
    NotFoundError
        If there is no such receipt.
    StorageError
        If the ledger cannot be reached.
    """
    ledger, bucket = intake.ledger, intake.prefixes.bucket
    found = ledger.receipts(number=number)
    if not found:
        raise NotFoundError(f"there is no receipt {number}; see: presagio receipts")
    (receipt,) = found
    name = f"receipt {number} ({receipt.identity.key})"
    if ledger.blocking(bucket, BLOCKING, number=number):
        ledger.release(number, who=who, why=why)
        return Release(
            receipt, released=True, blocked=True, note=f"{name} no longer blocks training"
        )
    if (earlier := ledger.released(number)) is not None:
        note = (
            f"{name} blocks nothing: it was released on {earlier.created_at:%Y-%m-%d} by "
            f"{earlier.who}: {earlier.why}"
        )
        return Release(receipt, released=False, blocked=True, note=note)
    note = f"{name} blocks nothing: {_why_not(receipt, bucket)}"
    return Release(receipt, released=False, blocked=False, note=note)
