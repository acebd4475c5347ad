"""Compare what the ledger says with what lies in the buckets, and repair what can be repaired.

Everything can be made again from the original bytes in the archive, so a missing output is no loss.
Nothing is ever deleted here but a source whose receipt is committed.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from presagio.errors import DataError, PresagioError
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
    "unfinished", "withdrawn", "unknown_object",
]  # fmt: skip


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


@dataclass(frozen=True)
class _Contents:
    """What lies in the buckets below the prefixes, by bucket and key."""

    objects: dict[tuple[str, str], StoredObject]

    def has(self, bucket: str, key: str) -> bool:
        return (bucket, key) in self.objects


def _listed(intake: Intake) -> _Contents:
    prefixes = intake.prefixes
    places = [
        (prefixes.bucket, prefixes.processed),
        (prefixes.bucket, prefixes.quarantine),
        (prefixes.bucket, prefixes.archive),
        (prefixes.curated_bucket, prefixes.curated),
    ]
    return _Contents(
        {
            (bucket, stored.key): stored
            for bucket, prefix in places
            for stored in intake.store.list(bucket, prefix)
        }
    )


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

    def __init__(self, intake: Intake, *, deep: bool, repair: bool) -> None:
        self._intake, self._deep, self._repair = intake, deep, repair
        # Outputs are older than their receipt, so that what is filed meanwhile is no difference.
        self._receipts = intake.ledger.receipts(bucket=intake.prefixes.bucket, limit=None)
        # So are objects of a compaction; and what it has replaced is removed after it.
        self._compactions = intake.ledger.compactions(intake.prefixes.bucket)
        self._committed = self._compactions.committed()
        self._contents = _listed(intake)
        self._compacted = self._compactions.all_receipts()
        self._removed = intake.ledger.retention(intake.prefixes.bucket).removed()
        self._claims = intake.ledger.open_claims(intake.prefixes.bucket)
        waiting = incoming_files(intake.store, intake.prefixes, intake.other_fleets())
        self._waiting = list(waiting)

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
        if not self._contents.has(bucket, key):
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
        if not self._contents.has(bucket, key):
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
        members = {*self._compactions.receipts(compaction.id)}
        for receipt in self._receipts:
            if receipt.id in members:
                self._write_again(receipt)
        if self._compactions.receipts(compaction.id):
            raise DataError("some of its files could not be made again")

    def _receipt(self, receipt: Receipt) -> Iterator[Difference]:
        bucket = self._intake.prefixes.bucket
        has_original = self._has_original(receipt)
        is_removed = receipt.outcome.archive_key in self._removed
        if is_removed and receipt.outcome.verdict == "quarantined":
            # It may be on its way out, as a whole.
            return
        if not has_original and not is_removed:
            yield Difference(
                "original_missing", f"{bucket}/{receipt.outcome.archive_key}",
                f"the original of {receipt.identity.key} is gone or altered; put back a copy with "
                f"SHA-256 {receipt.identity.sha256} from a backup",
                receipt.id,
            )  # fmt: skip
        for kind, where, key in self._faulty_outputs(receipt):
            found = Difference(
                kind, f"{where}/{key}",
                f"{kind.replace('_', ' ')}, of {receipt.identity.key}; it can be made again from "
                "the original",
                receipt.id,
            )  # fmt: skip
            yield (
                self._repaired(found, partial(self._write_again, receipt))
                if has_original
                else found
            )

    def _with_original(self, key: str, action: Callable[[Path], object]) -> None:
        with original(self._intake, key) as path:
            action(path)

    def _write_again(self, receipt: Receipt) -> None:
        self._with_original(
            receipt.outcome.archive_key,
            lambda path: rewrite_outputs(self._intake, receipt, path),
        )

    def _incoming(self) -> Iterator[Difference]:
        filed = {(r.identity.key, r.identity.version): r for r in self._receipts}
        bucket = self._intake.prefixes.bucket
        for stored in self._waiting:
            receipt = filed.get((stored.key, stored.etag))
            if receipt is not None:
                found = Difference(
                    "not_removed", f"{bucket}/{stored.key}",
                    "this file has its receipt and waits to be removed", receipt.id,
                )  # fmt: skip
                yield self._repaired(found, partial(file_object, self._intake, stored.key))

    def _open_claim(self, claim: Claim, waiting: set[str]) -> Difference | None:
        identity = claim.identity
        if identity.key in waiting:
            return None
        archived = OutputKeys(claim, self._intake.prefixes).archive
        if not self._contents.has(identity.bucket, archived):
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
        known: set[tuple[str, str]] = set()
        for receipt in ledger.receipts(limit=None, every_fleet=True):
            done = receipt.outcome
            known |= {(curated, key) for key in done.curated_keys}
            written = {done.processed_key, done.quarantine_key, done.archive_key, *done.digests}
            known |= {
                (receipt.identity.bucket, key) for key in written - {*done.curated_keys} if key
            }
        intake = self._intake
        begun = [
            OutputKeys(claim, intake.of(claim.identity.key).prefixes)
            for claim in ledger.open_claims()
        ]
        others, numbers = self._intake.other_fleets(), self._compactions.numbers()
        for where, key in sorted(self._contents.objects.keys() - known):
            if where == curated and compaction_of(key) in numbers:
                continue
            if not self._is_of_others(key, others) and not any(
                keys.has(where, key) for keys in begun
            ):
                yield Difference(
                    "unknown_object", f"{where}/{key}",
                    "no receipt knows this object; it is left alone",
                )  # fmt: skip

    def differences(self) -> Iterator[Difference]:
        """Yield all differences, repaired as far as was asked."""
        for receipt in self._receipts:
            yield from self._receipt(receipt)
        for compaction in self._committed:
            yield from self._compaction(compaction)
        yield from self._incoming()
        waiting = {stored.key for stored in self._waiting}
        for claim in self._claims:
            if (found := self._open_claim(claim, waiting)) is not None:
                yield found
        yield from self._unknown()

    def report(self) -> Report:
        """Compare, and sum up."""
        done = [receipt.outcome for receipt in self._receipts]
        return Report(
            len(done),
            len(self._contents.objects),
            sum(outcome.rows_in for outcome in done),
            sum(outcome.rows_processed for outcome in done),
            sum(outcome.rows_quarantined for outcome in done),
            tuple(self.differences()),
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
    return _Comparison(intake, deep=deep, repair=repair).report()
