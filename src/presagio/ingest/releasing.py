"""Release a file that was refused whole, so that it no longer keeps training from starting."""

from dataclasses import dataclass

from presagio.errors import NotFoundError
from presagio.ingest.filing import Intake
from presagio.ingest.verdict import BLOCKING
from presagio.sentences import Code, Sentence
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
    note: Sentence


def _why_not(receipt: Receipt, bucket: str) -> Sentence:
    """Say why a receipt that is not released blocks nothing."""
    done, refused = receipt.outcome, receipt.outcome.notes.get("refused")
    if receipt.identity.bucket != bucket:
        return Sentence(
            "it is a file of the bucket %(of)s, not of %(bucket)s",
            {"of": receipt.identity.bucket, "bucket": bucket},
        )
    if done.verdict == "processed":
        return Sentence("its rows were taken")
    if done.verdict == "duplicate":
        number = {"number": str(done.duplicate_of)}
        return Sentence("it has the same bytes as receipt %(number)s", number)
    if refused not in BLOCKING:
        reason = {"reason": Code(str(refused))}
        return Sentence("it was refused for another reason (%(reason)s)", reason)
    return Sentence("a later file of its name was taken in its place")


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
    name = Sentence(
        "receipt %(number)s (%(key)s)", {"number": str(number), "key": receipt.identity.key}
    )
    if ledger.blocking(bucket, BLOCKING, number=number):
        ledger.release(number, who=who, why=why)
        note = Sentence("%(file)s no longer blocks training", {"file": name})
        return Release(receipt, released=True, blocked=True, note=note)
    if (earlier := ledger.released(number)) is not None:
        note = Sentence(
            "%(file)s blocks nothing: it was released on %(day)s by %(who)s: %(why)s",
            {
                "file": name, "day": f"{earlier.created_at:%Y-%m-%d}", "who": earlier.who,
                "why": earlier.why,
            },
        )  # fmt: skip
        return Release(receipt, released=False, blocked=True, note=note)
    why_not = {"file": name, "why": _why_not(receipt, bucket)}
    note = Sentence("%(file)s blocks nothing: %(why)s", why_not)
    return Release(receipt, released=False, blocked=False, note=note)
