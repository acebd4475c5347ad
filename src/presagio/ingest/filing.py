"""File one incoming object so that nothing is lost, whenever the process dies.

Archive the bytes → write the outputs → commit the receipt → remove the source. Every write is
idempotent (same bytes, same key), and the source goes last: a run that is killed anywhere leaves
an incoming object and no receipt, or a receipt and a source that only has to be removed.
"""

import csv
import hashlib
import io
import json
import logging
from dataclasses import dataclass
from pathlib import PurePosixPath

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import Checked, Rejected, check_rows
from presagio.ingest.decoding import decode_csv
from presagio.machine.spec import MachineSpec
from presagio.settings import Prefixes
from presagio.storage.ledger import Filing, Ledger, ObjectIdentity, Outcome, Receipt
from presagio.storage.objects import ObjectStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intake:
    """Where objects come from and go to, and what they are checked against."""

    store: ObjectStore
    ledger: Ledger
    spec: MachineSpec
    prefixes: Prefixes


def _write_rejected(header: tuple[str, ...], rejected: tuple[Rejected, ...]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["line", "faults", *header])
    writer.writerows([row.line, " | ".join(row.faults), *row.cells] for row in rejected)
    return text.getvalue().encode()


def _free_key(filing: Filing, key: str, sha256: str) -> str:
    """Return the key, or one with the hash in its name when other rows lie there already."""
    if not filing.is_taken(key):
        return key
    path = PurePosixPath(key)
    return str(path.with_name(f"{path.stem}.{sha256[:12]}{path.suffix}"))


class _Writer:
    """Writes what came of one object under the intake's prefixes."""

    def __init__(self, intake: Intake, filing: Filing, identity: ObjectIdentity) -> None:
        self._store, self._prefixes = intake.store, intake.prefixes
        self._filing, self._identity = filing, identity
        self._name = identity.key.removeprefix(intake.prefixes.incoming)

    def _put(self, key: str, body: bytes) -> str:
        self._store.write(
            self._prefixes.bucket, key, body, metadata={"presagio-sha256": self._identity.sha256}
        )
        return key

    def _output(self, prefix: str, body: bytes) -> str:
        return self._put(_free_key(self._filing, prefix + self._name, self._identity.sha256), body)

    def archive(self, body: bytes) -> str:
        return self._put(f"{self._prefixes.archive}{self._identity.sha256}.csv", body)

    def rows(self, header: tuple[str, ...], checked: Checked, archive_key: str) -> Outcome:
        processed = self._output(self._prefixes.processed, checked.accepted.write_csv().encode())
        quarantine = None
        if checked.rejected:
            quarantine = self._output(
                self._prefixes.quarantine, _write_rejected(header, checked.rejected)
            )
        taken, refused = len(checked.accepted), len(checked.rejected)
        return Outcome(
            "processed", taken + refused, taken, refused, checked.reasons,
            processed, quarantine, archive_key,
        )  # fmt: skip

    def whole_file(self, body: bytes, fault: UnreadableFileError, archive_key: str) -> Outcome:
        quarantine = self._output(self._prefixes.quarantine, body)
        reason = {"key": self._identity.key, "reason": fault.reason, "message": str(fault)}
        self._put(f"{quarantine}.reason.json", json.dumps(reason, indent=2).encode())
        return Outcome("quarantined", 0, 0, 0, {fault.reason: 1}, None, quarantine, archive_key)


def _outcome(intake: Intake, writer: _Writer, body: bytes) -> Outcome:
    archive_key = writer.archive(body)
    try:
        records = decode_csv(body, intake.spec)
    except UnreadableFileError as fault:
        return writer.whole_file(body, fault, archive_key)
    return writer.rows(records.header, check_rows(records, intake.spec), archive_key)


def file_object(intake: Intake, key: str, *, run_id: str | None = None) -> Receipt | None:
    """Check, clean and file one incoming object.

    Parameters
    ----------
    intake
        Where from, where to, and the machine spec.
    key
        The object's key, below the incoming prefix.
    run_id
        Who files it (an Airflow run), for the receipt.

    Returns
    -------
    Receipt or None
        The receipt, an earlier one where this very object was filed before; None when there is
        no such object (any more).

    Raises
    ------
    StorageError
        If the store or the ledger fails; the object then stays where it is, to be tried again.
    """
    read = intake.store.read(intake.prefixes.bucket, key)
    if read is None:
        return None
    body, stored = read
    digest = hashlib.sha256(body).hexdigest()
    identity = ObjectIdentity(intake.prefixes.bucket, key, stored.etag, digest, len(body))
    with intake.ledger.filing(identity) as filing:
        receipt = filing.earlier()
        if receipt is None:
            outcome = _outcome(intake, _Writer(intake, filing, identity), body)
            receipt = filing.commit_receipt(outcome, run_id)
    if not intake.store.delete_unchanged(intake.prefixes.bucket, stored):
        _log.warning("%s was replaced while it was read; the newer bytes are left to file", key)
    return receipt
