"""Where the outputs of an object go: from any key, keys that every store takes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC

from presagio.ingest.checking import suffix_of
from presagio.settings import Prefixes
from presagio.storage.receipt import Claim

# S3 takes 1,024 bytes; prefixes and endings of ours need some of them.
_LONGEST_NAME = 900
# File systems, on which some stores keep their objects, take 255 bytes between two slashes.
_LONGEST_PART = 200
_DIGEST = 12
_SAME_NAMES = 1000
_PART = re.compile(r"-part-(\d+)\.parquet$")
_COMPACTION = re.compile(r"(?:^|/)compaction=(\d{1,18})/part-\d+\.parquet$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")


def _safe_part(part: str) -> str:
    if part in ("", ".", ".."):
        return "_"
    return _cut(_CONTROL.sub("_", part), _LONGEST_PART)


def _without_suffix(name: str) -> str:
    """Return a name without its suffix; whole where that is of an unknown kind."""
    suffix = suffix_of(name)
    return name[: -len(suffix)] if suffix else name


def _stem(name: str) -> str:
    """Return a name without its suffix, safe to be used as a part of a key."""
    stem = _without_suffix(name) or "_"
    safe = "/".join(_safe_part(part) for part in stem.split("/"))
    return _cut(safe, _LONGEST_NAME).rstrip("/") or "_"


def output_names(name: str, sha256: str) -> Iterator[str]:
    """Yield names for the outputs of an object, the best first.

    Parameters
    ----------
    name
        The object's key below the incoming prefix.
    sha256
        The digest of its bytes.

    Yields
    ------
    str
        The object's own name with ``.csv`` for its suffix, where that can be had; names with the
        beginning of the digest for when another object has it, or when the own name had to be
        changed, so that two names which change into one stay apart.
    """
    stem, digest = _stem(name), sha256[:_DIGEST]
    if stem == _without_suffix(name):
        yield f"{stem}.csv"
    for number in range(1, _SAME_NAMES):
        yield f"{stem}.{digest}{f'-{number}' if number > 1 else ''}.csv"


def part_of(key: str) -> int:
    """Return the number of a part of the curated data set, by its key; 0 where that has none."""
    found = _PART.search(key)
    return int(found[1]) if found else 0


def compaction_of(key: str) -> int | None:
    """Return the compaction that an object is of, by its key; None where it is of none."""
    found = _COMPACTION.search(key)
    return int(found[1]) if found else None


def compaction_key(curated: str, number: int, part: int) -> str:
    """Return the key of an object of a compaction.

    Parameters
    ----------
    curated
        The prefix of the curated data set.
    number
        The compaction.
    part
        The object's place in it.
    """
    return f"{compaction_start(curated, number)}{part:04d}.parquet"


def compaction_start(curated: str, number: int) -> str:
    """Return what the keys of a compaction begin with; no fleet can be called so."""
    return f"{curated}compaction={number}/part-"


@dataclass(frozen=True)
class OutputKeys:
    """The keys of everything that may come of a claimed object.

    Attributes
    ----------
    claim
        The claim, which settles all of them.
    prefixes
        Where outputs go.
    """

    claim: Claim
    prefixes: Prefixes

    @property
    def _suffix(self) -> str:
        return suffix_of(self.claim.identity.key) or ""

    @property
    def archive(self) -> str:
        """Return the key of the original bytes: the same bytes have the same."""
        return f"{self.prefixes.archive}{self.claim.identity.sha256}{self._suffix}"

    @property
    def processed(self) -> str:
        """Return the key of the clean rows."""
        return self.prefixes.processed + self.claim.name

    @property
    def rejected(self) -> str:
        """Return the key of the rejected rows."""
        return self.prefixes.quarantine + self.claim.name

    @property
    def refused(self) -> str:
        """Return the key of a file that is refused whole, as it came."""
        return f"{self.prefixes.quarantine}{self.claim.name.removesuffix('.csv')}{self._suffix}"

    @property
    def reason(self) -> str:
        """Return the key of the reason beside a refused file."""
        return f"{self.refused}.reason.json"

    @property
    def outputs(self) -> frozenset[str]:
        """Return all of these keys but that of the original bytes."""
        return frozenset((self.processed, self.rejected, self.refused, self.reason))

    @property
    def curated_start(self) -> str:
        """Return what the keys of the rows in the curated data set begin with."""
        day = self.claim.created_at.astimezone(UTC)
        return f"{self.prefixes.curated}day={day:%Y-%m-%d}/receipt-{self.claim.id}-part-"

    def curated(self, part: int) -> str:
        """Return the key of one part of the rows in the curated data set."""
        return f"{self.curated_start}{part}.parquet"

    def has(self, bucket: str, key: str) -> bool:
        """Tell whether an object may have come of the claim."""
        if bucket == self.prefixes.curated_bucket and key.startswith(self.curated_start):
            return True
        return bucket == self.claim.identity.bucket and key in {self.archive, *self.outputs}
