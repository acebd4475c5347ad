"""Compare what the ledger says with what lies in the buckets, and repair what can be repaired.

Everything can be made again from the original bytes in the archive, so a missing output is no loss.
Nothing is ever deleted here but a source whose receipt is committed.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from presagio.errors import DataError, PresagioError
from presagio.ingest.contents import Contents, listed_contents
from presagio.ingest.filing import Intake, file_bytes, file_object
from presagio.ingest.incoming import incoming_files, is_of_others
from presagio.ingest.naming import OutputKeys, compaction_of
from presagio.ingest.originals import original, rewrite_outputs
from presagio.settings import AREAS
from presagio.storage.compactions import Compaction
from presagio.storage.objects import StoredObject
from presagio.storage.receipt import Claim, Receipt

Kind = Literal[
    "original_missing", "output_missing", "output_altered", "never_curated", "not_removed",
    "unfinished", "withdrawn", "unknown_object", "too_large", "totals_differ",
]  # fmt: skip
_PAGE = 1000


@dataclass(frozen=True)
class Difference:
    """Something on which ledger and bucket do not agree.

    Attributes
    ----------
    kind
        What it is.
    key
        The object that it is about, its bucket before it.
    message
        What is wrong, in words, and what can be done.
    receipt_id
        The receipt, or claim, that it is about.
    repaired
        Whether it has been put right.
    """

    kind: Kind
    key: str
    message: str
    receipt_id: int | None = None
    repaired: bool = False


@dataclass(frozen=True)
class Report:
    """What a comparison found: how much agrees, and what does not."""

    receipts: int
    objects: int
    rows_in: int
    rows_processed: int
    rows_quarantined: int
    differences: tuple[Difference, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left that has not been put right."""
        return all(difference.repaired for difference in self.differences)


def _bucket_of(intake: Intake, key: str) -> str:
    prefixes = intake.prefixes
    return prefixes.curated_bucket if key.startswith(prefixes.curated) else prefixes.bucket


def _sha256(intake: Intake, bucket: str, key: str) -> str | None:
    with tempfile.TemporaryFile() as file:
        if intake.store.download(bucket, key, file) is None:
            return None
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Comparison:
    """Goes through receipts, claims and buckets once."""

    def __init__(self, intake: Intake, contents: Contents, *, deep: bool, repair: bool) -> None:
        self._intake, self._deep, self._repair = intake, deep, repair
        self._contents = contents
        self._receipts, self._rows = 0, Counter[str]()
        self._compactions = intake.ledger.compactions(intake.prefixes.bucket)
        self._compacted = self._compactions.all_receipts()
        self._retention = intake.ledger.retention(intake.prefixes.bucket)
        self._removed = self._retention.removed()

    def _is_there(self, bucket: str, key: str) -> bool:
        # What was not there when it was listed may have been written since.
        return self._contents.has(bucket, key) or self._intake.store.head(bucket, key) is not None

    def _repaired(self, difference: Difference, action: Callable[[], object]) -> Difference:
        if not self._repair:
            return difference
        try:
            action()
        except PresagioError as err:
            return replace(difference, message=f"{difference.message}; not repaired: {err}")
        return replace(difference, repaired=True)

    def _has_original(self, receipt: Receipt) -> bool:
        bucket, key = self._intake.prefixes.bucket, receipt.outcome.archive_key
        if not self._is_there(bucket, key):
            return False
        return not self._deep or _sha256(self._intake, bucket, key) == receipt.identity.sha256

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
        if not self._is_there(bucket, key):
            return "output_missing"
        if self._deep and _sha256(self._intake, bucket, key) != sha256:
            return "output_altered"
        return None

    def _compaction(self, compaction: Compaction) -> Iterator[Difference]:
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
            yield self._repaired(found, partial(self._take_apart, compaction))

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

    def _receipt(self, receipt: Receipt) -> Iterator[Difference]:
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
                yield self._repaired(one, partial(self._write_again, now))

    def _with_original(self, key: str, action: Callable[[Path], object]) -> None:
        with original(self._intake, key) as path:
            action(path)

    def _write_again(self, receipt: Receipt) -> None:
        self._with_original(
            receipt.outcome.archive_key,
            lambda path: rewrite_outputs(self._intake, receipt, path),
        )

    def _incoming(self) -> Iterator[Difference]:
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
                yield self._repaired(found, partial(file_object, intake, stored.key))
        elif (fault := intake.limits.size_fault(stored.key, stored.size)) is not None:
            yield Difference("too_large", where, f"{fault}; it stays where it is")

    def _open_claim(self, claim: Claim) -> Difference | None:
        identity, intake = claim.identity, self._intake
        if intake.store.head(identity.bucket, identity.key) is not None:
            return None
        if intake.ledger.receipts(number=claim.id):
            # Filed since the claims were read.
            return None
        archived = OutputKeys(claim, intake.prefixes).archive
        if not self._is_there(identity.bucket, archived):
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
        return self._repaired(
            found,
            lambda: self._with_original(
                archived, lambda path: file_bytes(self._intake, path, identity, run_id="verify")
            ),
        )

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
            self._contents.know((curated, key) for key in done.curated_keys)
            self._contents.know(
                (receipt.identity.bucket, key) for key in written - {*done.curated_keys} if key
            )
        others, numbers = self._intake.other_fleets(), self._compactions.numbers()
        for where, key in self._contents.unknown():
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
            yield from self._receipt(receipt)
        for compaction in self._compactions.committed():
            yield from self._compaction(compaction)
        yield from self._incoming()
        for claim in ledger.open_claims(bucket):
            if (found := self._open_claim(claim)) is not None:
                yield found
        yield from self._unknown()
        for text in ledger.wrong_totals():
            found = Difference("totals_differ", "receipt_totals", text)
            yield self._repaired(found, ledger.recount)

    def report(self) -> Report:
        """Compare, and sum up."""
        differences = tuple(self.differences())
        rows = self._rows
        return Report(
            self._receipts,
            len(self._contents),
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
        return _Comparison(intake, contents, deep=deep, repair=repair).report()
