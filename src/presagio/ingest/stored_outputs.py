"""What came of one object, stored under the keys that its claim settles."""

from dataclasses import dataclass
from pathlib import Path

from presagio.ingest.naming import OutputKeys
from presagio.ingest.outputs import digest
from presagio.settings import Prefixes
from presagio.storage.objects import ObjectStore
from presagio.storage.receipt import Claim


@dataclass(frozen=True)
class ClaimedSource:
    """The bytes of an object, in a folder of our own, and the claim on it."""

    path: Path
    suffix: str
    claim: Claim


class StoredOutputs:
    """Stores what came of one object under the keys that its claim settles; each returns its key.

    Attributes
    ----------
    digests
        SHA-256 of each object that was stored, by key.
    """

    def __init__(self, store: ObjectStore, prefixes: Prefixes, source: ClaimedSource) -> None:
        self._store, self._source = store, source
        self._bucket, self._curated = prefixes.bucket, prefixes.curated_bucket
        self._keys = OutputKeys(source.claim, prefixes)
        self.digests: dict[str, str] = {}

    def _put(self, bucket: str, key: str, path: Path, sha256: str | None = None) -> str:
        sha256 = sha256 or digest(path)
        self._store.upload(bucket, key, path, metadata={"presagio-sha256": sha256})
        self.digests[key] = sha256
        return key

    def _put_source(self, key: str) -> str:
        return self._put(self._bucket, key, self._source.path, self._source.claim.identity.sha256)

    def archive(self) -> str:
        """Store the bytes as they came."""
        return self._put_source(self._keys.archive)

    def processed(self, path: Path) -> str:
        """Store the clean rows."""
        return self._put(self._bucket, self._keys.processed, path)

    def rejected(self, path: Path) -> str:
        """Store the bad rows, with what is wrong with each."""
        return self._put(self._bucket, self._keys.rejected, path)

    def refused(self, reason: Path) -> str:
        """Store the file as it came, with the reason beside it."""
        self._put_source(self._keys.refused)
        self._put(self._bucket, self._keys.reason, reason)
        return self._keys.refused

    def curated(self, paths: tuple[Path, ...]) -> tuple[str, ...]:
        """Store the parts of the curated data set."""
        return tuple(
            self._put(self._curated, self._keys.curated(part), path)
            for part, path in enumerate(paths)
        )
