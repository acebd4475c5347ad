"""Champions kept in the data bucket: a replica on a new host starts without the registry.

An artifact lies under its SHA-256, which is that of its manifest; the manifest has those of the
other files. Which one is served stands in the replicas' database. So nobody who can only write into
the bucket can have another model served.
"""

import io
import logging
import re
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from presagio.errors import InvalidArtifactError, StorageError
from presagio.inference.admission import admit
from presagio.inference.artifact import FILES, LARGEST, MANIFEST, read_artifact, sha256_of
from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec
from presagio.registry import cache as caching
from presagio.registry.versions import RegisteredVersion
from presagio.settings import Settings
from presagio.storage.objects import open_store

if TYPE_CHECKING:
    from typing_extensions import Buffer

_log = logging.getLogger(__name__)
_PREFIX = "champions/"
_DIGEST = re.compile("[0-9a-f]{64}")


def _place(settings: Settings) -> str:
    return f"{settings.place(_PREFIX)}{settings.model_name}/"


class _Bounded(io.FileIO):
    """A file that takes no more than so many bytes."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path, "w+b")
        self._most = most

    def write(self, data: "Buffer", /) -> int:
        """Write bytes, if it may take them.

        Raises
        ------
        InvalidArtifactError
            If there is none.
        """
        if self.tell() + memoryview(data).nbytes > self._most:
            raise InvalidArtifactError(f"{self.name} has more than {self._most:,} bytes")
        return super().write(data)


def keep_artifact(
    settings: Settings, predictor: Predictor, wanted: Callable[[], Collection[str] | None]
) -> None:
    """Keep an artifact in the data bucket, and remove older ones; a fault is logged.

    The manifest is written last: where it is, all files are.

    Parameters
    ----------
    settings
        Where the bucket is.
    predictor
        The model that is served.
    wanted
        Returns the digests of all that stay, once it is known what lies there; None where that is
        not known: then nothing is removed.
    """
    artifact = predictor.artifact
    try:
        # A model that a library runs is no artifact of ours.
        if sha256_of(artifact.folder / MANIFEST) != artifact.digest:
            return
        read_artifact(artifact.folder, digest=artifact.digest)
        store, bucket, place = open_store(settings), settings.data_bucket, _place(settings)
        folder = f"{place}{artifact.digest}/"
        if store.head(bucket, f"{folder}{MANIFEST}") is None:
            for name in (*(name for name in FILES if name != MANIFEST), MANIFEST):
                store.upload(bucket, f"{folder}{name}", artifact.folder / name)
        lying = list(store.list(bucket, place))
        if (stay := wanted()) is None:
            return
        # Manifests first: where one is, all files are, also when this is killed.
        for stored in sorted(lying, key=lambda found: not found.key.endswith(f"/{MANIFEST}")):
            digest = stored.key.removeprefix(place).partition("/")[0]
            if _DIGEST.fullmatch(digest) and digest not in stay:
                store.delete_unchanged(bucket, stored)
    except (OSError, StorageError, InvalidArtifactError) as err:
        _log.warning("the champion is not kept in the data bucket: %s", err)


def load_kept(
    settings: Settings, spec: MachineSpec, version: RegisteredVersion, digest: str
) -> Predictor | None:
    """Load the artifact of a champion from the data bucket.

    Parameters
    ----------
    settings
        Where the bucket and the cache are.
    spec
        The machine whose readings it is to take.
    version
        The version that it is the artifact of.
    digest
        Its SHA-256, which the replicas have agreed on.

    Returns
    -------
    Predictor or None
        None if it is not there, or the store cannot be asked.

    Raises
    ------
    InvalidArtifactError
        If what lies there is not that artifact, or cannot be served.
    """
    cache = settings.model_cache
    folder = caching.folder_of(cache, version)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=cache, prefix=caching.SCRATCH, ignore_cleanup_errors=True
        ) as scratch:
            fetched = Path(scratch) / "artifact"
            fetched.mkdir()
            if not _fetch(settings, digest, fetched):
                return None
            read_artifact(fetched, digest=digest)
            caching.remove(cache, folder)
            caching.place(fetched, cache, folder)
    except (OSError, StorageError) as err:
        _log.warning("the champion cannot be read from the data bucket: %s", err)
        return None
    _log.info("%s version %s comes from the data bucket", version.name, version.version)
    return admit(folder, digest=digest, spec=spec, limit_s=settings.model_trial_s)


def _fetch(settings: Settings, digest: str, into: Path) -> bool:
    """Bring the files of an artifact into a folder; say whether all are there."""
    store, left = open_store(settings), settings.mlflow_download_bytes
    for name in FILES:
        key = f"{_place(settings)}{digest}/{name}"
        stored = store.head(settings.data_bucket, key)
        if stored is None:
            return False
        most = min(left, LARGEST[name])
        if stored.size > most:
            raise InvalidArtifactError(f"{key} has {stored.size:,} bytes, more than {most:,}")
        left -= stored.size
        with _Bounded(into / name, most) as file:
            if store.download(settings.data_bucket, key, file) is None:
                return False
    return True
