"""Compare what the ledger says with what lies in the buckets, and repair what can be repaired.

Nothing is ever deleted here but a source whose receipt is committed.
"""

from collections import Counter
from collections.abc import Iterator

from presagio.ingest.comparison import Comparison, Difference, Report
from presagio.ingest.contents import listed_contents
from presagio.ingest.filed_objects import FiledObjects
from presagio.ingest.filing import Intake
from presagio.ingest.incoming import is_of_others
from presagio.ingest.naming import OutputKeys, compaction_of
from presagio.ingest.unfiled import Unfiled
from presagio.settings import AREAS


class _Verification:
    """Goes through receipts, claims and buckets once."""

    def __init__(self, by: Comparison) -> None:
        self._by, self._intake = by, by.intake
        self._receipts, self._rows = 0, Counter[str]()
        self._compactions = self._intake.ledger.compactions(self._intake.prefixes.bucket)
        self._filed, self._unfiled = FiledObjects(by), Unfiled(by)

    def _is_of_others(self, key: str, others: frozenset[str]) -> bool:
        prefixes = (getattr(self._intake.prefixes, area) for area in AREAS)
        return any(key.startswith(p) and is_of_others(key, p, others) for p in prefixes)

    def _unknown(self) -> Iterator[Difference]:
        # Intakes of several buckets and fleets may share one curated data set.
        ledger, curated = self._intake.ledger, self._intake.prefixes.curated_bucket
        intake = self._intake
        # Before the receipts: what is filed meanwhile is among the ones or the others.
        begun = [
            OutputKeys(claim, intake.of(claim.identity.key).prefixes)
            for claim in ledger.open_claims()
        ]
        for receipt in ledger.each_receipt(every_fleet=True):
            done = receipt.outcome
            written = {done.processed_key, done.quarantine_key, done.archive_key, *done.digests}
            self._by.contents.know((curated, key) for key in done.curated_keys)
            self._by.contents.know(
                (receipt.identity.bucket, key) for key in written - {*done.curated_keys} if key
            )
        others, numbers = self._intake.other_fleets(), self._compactions.numbers()
        for where, key in self._by.contents.unknown():
            if where == curated and compaction_of(key) in numbers:
                continue
            if self._is_of_others(key, others) or any(keys.has(where, key) for keys in begun):
                continue
            # It may have been removed, with its receipt, since it was listed.
            if intake.store.head(where, key) is not None:
                yield Difference(
                    "unknown_object", f"{where}/{key}",
                    "no receipt knows this object; it is left alone",
                )  # fmt: skip

    def differences(self) -> Iterator[Difference]:
        """Yield all differences, repaired as far as was asked."""
        ledger, bucket = self._intake.ledger, self._intake.prefixes.bucket
        for receipt in ledger.each_receipt(bucket=bucket, newest_first=True):
            done = receipt.outcome
            self._rows["in"] += done.rows_in
            self._rows["processed"] += done.rows_processed
            self._rows["quarantined"] += done.rows_quarantined
            self._receipts += 1
            yield from self._filed.of_receipt(receipt)
        for compaction in self._compactions.committed():
            yield from self._filed.of_compaction(compaction)
        yield from self._unfiled.waiting()
        for claim in ledger.open_claims(bucket):
            if (found := self._unfiled.of_claim(claim)) is not None:
                yield found
        yield from self._unknown()
        for text in ledger.wrong_totals():
            found = Difference("totals_differ", "receipt_totals", text)
            yield self._by.repaired(found, ledger.recount)

    def report(self) -> Report:
        """Compare, and sum up."""
        differences = tuple(self.differences())
        rows = self._rows
        return Report(
            self._receipts,
            len(self._by.contents),
            rows["in"],
            rows["processed"],
            rows["quarantined"],
            differences,
        )


def verify(intake: Intake, *, deep: bool = False, repair: bool = False) -> Report:
    """Compare ledger and buckets.

    Parameters
    ----------
    intake
        The ledger and the buckets.
    deep
        Whether to read every object and compare its SHA-256; else its presence is looked at.
    repair
        Whether to put right what can be: outputs are made again from the originals, files that
        have their receipt are removed, files that were begun are filed to the end.

    Returns
    -------
    Report
        The sums, and each difference with whether it was put right.

    Raises
    ------
    StorageError
        If store or ledger cannot be reached.
    """
    with listed_contents(intake) as contents:
        return _Verification(Comparison(intake, contents, deep, repair)).report()
