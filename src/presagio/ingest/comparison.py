"""What is compared: the ledger with the buckets, and what is found where they do not agree."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from presagio.errors import PresagioError
from presagio.ingest.contents import Contents
from presagio.ingest.filing import Intake
from presagio.ingest.originals import original

Kind = Literal[
    "original_missing", "output_missing", "output_altered", "never_curated", "not_removed",
    "unfinished", "withdrawn", "unknown_object", "too_large", "totals_differ",
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
class Comparison:
    """How ledger and buckets are compared.

    Attributes
    ----------
    intake
        Both of them.
    contents
        What lies in the buckets, as it was listed.
    deep
        Whether to read every object and compare its SHA-256; else its presence is looked at.
    repair
        Whether to put right what can be.
    """

    intake: Intake
    contents: Contents
    deep: bool = False
    repair: bool = False

    def is_there(self, bucket: str, key: str) -> bool:
        """Tell whether an object is there."""
        # What was not there when it was listed may have been written since.
        return self.contents.has(bucket, key) or self.intake.store.head(bucket, key) is not None

    def is_altered(self, bucket: str, key: str, sha256: str | None) -> bool:
        """Tell whether an object has other bytes, as far as objects are read."""
        return self.deep and _sha256(self.intake, bucket, key) != sha256

    def repaired(self, difference: Difference, action: Callable[[], object]) -> Difference:
        """Return a difference after it was put right, if it was to be and could be."""
        if not self.repair:
            return difference
        try:
            action()
        except PresagioError as err:
            return replace(difference, message=f"{difference.message}; not repaired: {err}")
        return replace(difference, repaired=True)

    def with_original(self, key: str, action: Callable[[Path], object]) -> None:
        """Do something with an original; raises as :func:`.originals.original`."""
        with original(self.intake, key) as path:
            action(path)


def _sha256(intake: Intake, bucket: str, key: str) -> str | None:
    with tempfile.TemporaryFile() as file:
        if intake.store.download(bucket, key, file) is None:
            return None
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
