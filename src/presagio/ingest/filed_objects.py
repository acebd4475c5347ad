"""What came of filed objects, compared with the buckets: originals, outputs, what was put together.

Everything can be made again from the original bytes in the archive, so a missing output is no loss.
"""

from collections.abc import Iterator
from functools import partial

from presagio.errors import DataError
from presagio.ingest.comparison import Comparison, Difference, Kind
from presagio.ingest.filing import Intake
from presagio.ingest.originals import rewrite_outputs
from presagio.storage.compactions import Compaction
from presagio.storage.receipt import Receipt


def _bucket_of(intake: Intake, key: str) -> str:
    prefixes = intake.prefixes
    return prefixes.curated_bucket if key.startswith(prefixes.curated) else prefixes.bucket


class FiledObjects:
    """Compares receipts and compactions with the objects that they name.

    Parameters
    ----------
    by
        How they are compared.
    """

    def __init__(self, by: Comparison) -> None:
        self._by, self._intake = by, by.intake
        bucket = self._intake.prefixes.bucket
        self._compactions = self._intake.ledger.compactions(bucket)
        self._compacted = self._compactions.all_receipts()
        self._retention = self._intake.ledger.retention(bucket)
        self._removed = self._retention.removed()

    def _has_original(self, receipt: Receipt) -> bool:
        bucket, key = self._intake.prefixes.bucket, receipt.outcome.archive_key
        if not self._by.is_there(bucket, key):
            return False
        return not self._by.is_altered(bucket, key, receipt.identity.sha256)

    def _faulty_outputs(self, receipt: Receipt) -> Iterator[tuple[Kind, str, str]]:
        done = receipt.outcome
        keys = [done.processed_key, done.quarantine_key, *done.curated_keys, *done.digests]
        elsewhere = {done.archive_key}
        if receipt.id in self._compacted:
            elsewhere |= {*done.curated_keys}
        for key in dict.fromkeys(key for key in keys if key and key not in elsewhere):
            bucket = _bucket_of(self._intake, key)
            if (kind := self._fault(bucket, key, done.digests.get(key))) is not None:
                yield kind, bucket, key
        if done.verdict == "processed" and done.rows_processed and not done.curated_keys:
            yield (
                "never_curated",
                self._intake.prefixes.curated_bucket,
                self._intake.prefixes.curated,
            )

    def _fault(self, bucket: str, key: str, sha256: str | None) -> Kind | None:
        if not self._by.is_there(bucket, key):
            return "output_missing"
        if self._by.is_altered(bucket, key, sha256):
            return "output_altered"
        return None

    def of_compaction(self, compaction: Compaction) -> Iterator[Difference]:
        """Yield what is wrong with the objects of a compaction, likewise."""
        bucket = self._intake.prefixes.curated_bucket
        for key in compaction.keys:
            kind = self._fault(bucket, key, compaction.digests[key])
            if kind is None or not self._compactions.receipts(compaction.id):
                continue
            found = Difference(
                kind, f"{bucket}/{key}",
                f"{kind.replace('_', ' ')}, of {compaction.files} small files that were put "
                "together; they can be made again from their originals",
            )  # fmt: skip
            yield self._by.repaired(found, partial(self._take_apart, compaction))

    def _take_apart(self, compaction: Compaction) -> None:
        for number in self._compactions.receipts(compaction.id):
            for receipt in self._intake.ledger.receipts(number=number):
                self._write_again(receipt)
        if self._compactions.receipts(compaction.id):
            raise DataError("some of its files could not be made again")

    def _found(self, receipt: Receipt) -> list[Difference]:
        bucket, key = self._intake.prefixes.bucket, receipt.outcome.archive_key
        is_removed = key in self._removed
        if is_removed and receipt.outcome.verdict == "quarantined":
            # It may be on its way out, as a whole.
            return []
        found = list[Difference]()
        if not is_removed and not self._has_original(receipt):
            text = (
                f"the original of {receipt.identity.key} is gone or altered; put back a copy with "
                f"SHA-256 {receipt.identity.sha256} from a backup"
            )
            found.append(Difference("original_missing", f"{bucket}/{key}", text, receipt.id))
        for kind, where, output in self._faulty_outputs(receipt):
            text = (
                f"{kind.replace('_', ' ')}, of {receipt.identity.key}; it can be made again from "
                "the original"
            )
            found.append(Difference(kind, f"{where}/{output}", text, receipt.id))
        return found

    def _read_again(self, receipt: Receipt) -> Receipt | None:
        """Return what the ledger has of a receipt now; None where it is gone."""
        # In this order: a mark goes together with its receipt.
        if self._retention.is_removed(receipt.outcome.archive_key):
            self._removed.add(receipt.outcome.archive_key)
        now = self._intake.ledger.receipts(number=receipt.id)
        if self._compactions.of_receipt(receipt.id) is not None:
            self._compacted.add(receipt.id)
        else:
            self._compacted.discard(receipt.id)
        return now[0] if now else None

    def of_receipt(self, receipt: Receipt) -> Iterator[Difference]:
        """Yield what is wrong with the objects of a receipt, repaired as far as was asked."""
        if not self._found(receipt):
            return
        # It may have been put together, removed or checked again since it was read.
        if (now := self._read_again(receipt)) is None or not (found := self._found(now)):
            return
        has_original = self._has_original(now)
        for one in found:
            if one.kind == "original_missing" or not has_original:
                yield one
            else:
                yield self._by.repaired(one, partial(self._write_again, now))

    def _write_again(self, receipt: Receipt) -> None:
        self._by.with_original(
            receipt.outcome.archive_key,
            lambda path: rewrite_outputs(self._intake, receipt, path),
        )
