"""Put a local file where the intake finds it, and wait for its receipt."""

import time
from dataclasses import dataclass
from pathlib import Path

from presagio.ingest.filing import Intake
from presagio.ingest.outputs import digest
from presagio.storage.receipt import Receipt


@dataclass(frozen=True)
class Uploaded:
    """A file that was put below the incoming prefix."""

    key: str
    sha256: str


def refuse_too_large(intake: Intake, path: Path) -> None:
    """Refuse a file that the intake would not read.

    Raises
    ------
    OSError
        If there is no such file.
    UnreadableFileError
        If it is larger than a file may be.
    """
    intake.limits.require_size(str(path), path.stat().st_size)


def upload(intake: Intake, path: Path, *, name: str | None = None) -> Uploaded:
    """Put a file below the incoming prefix.

    Parameters
    ----------
    intake
        Where to.
    path
        The local file.
    name
        Its name in the bucket; the file's own when not given.

    Returns
    -------
    Uploaded
        The key and the SHA-256 of the bytes.

    Raises
    ------
    OSError
        If the file cannot be read.
    UnreadableFileError
        If it is larger than a file may be; it is not sent then.
    StorageError
        If the store cannot be reached.
    """
    refuse_too_large(intake, path)
    key = intake.prefixes.incoming + (name or path.name)
    sha256 = digest(path)
    intake.store.upload(intake.prefixes.bucket, key, path)
    return Uploaded(key, sha256)


def wait_for_receipt(
    intake: Intake, uploaded: Uploaded, *, timeout_s: float, poll_s: float = 0.5
) -> Receipt | None:
    """Wait until the watcher has filed an uploaded object and removed the source.

    Returns
    -------
    Receipt or None
        None when the time ran out.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        bucket = intake.prefixes.bucket
        for receipt in intake.ledger.receipts(bucket=bucket, key=uploaded.key):
            gone = intake.store.head(intake.prefixes.bucket, uploaded.key) is None
            if receipt.identity.sha256 == uploaded.sha256 and gone:
                return receipt
        time.sleep(poll_s)
    return None
