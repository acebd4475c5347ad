"""Files that are on their way: which wait although they are filed, and which nobody ends filing."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from presagio.ingest.comparison import Comparison, Difference
from presagio.ingest.filing import file_bytes, file_object
from presagio.ingest.incoming import incoming_files
from presagio.ingest.naming import OutputKeys
from presagio.storage.objects import StoredObject
from presagio.storage.receipt import Claim

_PAGE = 1000


class Unfiled:
    """Compares what waits, and what was begun, with receipts.

    Parameters
    ----------
    by
        How they are compared.
    """

    def __init__(self, by: Comparison) -> None:
        self._by, self._intake = by, by.intake

    def waiting(self) -> Iterator[Difference]:
        """Yield what is wrong with files that wait below the incoming prefix."""
        intake = self._intake
        waiting = incoming_files(intake.store, intake.prefixes, intake.other_fleets())
        while page := list(islice(waiting, _PAGE)):
            bucket = intake.prefixes.bucket
            filed = {
                (receipt.identity.key, receipt.identity.version): receipt.id
                for receipt in intake.ledger.receipts_of(bucket, [stored.key for stored in page])
            }
            for stored in page:
                yield from self._waiting(stored, filed.get((stored.key, stored.etag)))

    def _waiting(self, stored: StoredObject, receipt: int | None) -> Iterator[Difference]:
        intake, where = self._intake, f"{self._intake.prefixes.bucket}/{stored.key}"
        if receipt is not None:
            # It may have been filed, and removed, since it was listed.
            if intake.store.head(intake.prefixes.bucket, stored.key) is not None:
                text = "this file has its receipt and waits to be removed"
                found = Difference("not_removed", where, text, receipt)
                yield self._by.repaired(found, partial(file_object, intake, stored.key))
        elif (fault := intake.limits.size_fault(stored.key, stored.size)) is not None:
            yield Difference("too_large", where, f"{fault}; it stays where it is")

    def of_claim(self, claim: Claim) -> Difference | None:
        """Return what is wrong with a file whose filing was begun; None where nothing is."""
        identity, intake = claim.identity, self._intake
        if intake.store.head(identity.bucket, identity.key) is not None:
            return None
        if intake.ledger.receipts(number=claim.id):
            # Filed since the claims were read.
            return None
        archived = OutputKeys(claim, intake.prefixes).archive
        if not self._by.is_there(identity.bucket, archived):
            return Difference(
                "withdrawn", f"{identity.bucket}/{identity.key}",
                "filing this file was begun, and it was taken away before its bytes were archived",
                claim.id,
            )  # fmt: skip
        found = Difference(
            "unfinished", f"{identity.bucket}/{identity.key}",
            "filing this file was begun and not ended, and the file is gone; its bytes are in "
            f"{archived}",
            claim.id,
        )  # fmt: skip
        return self._by.repaired(
            found,
            lambda: self._by.with_original(
                archived, lambda path: file_bytes(self._intake, path, identity, run_id="verify")
            ),
        )
