"""The cache of fetched artifacts: a folder a version, named by a digest of what it holds.

A name from the registry never becomes a path: ``../`` in a run's id would lead out of the cache.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from pathlib import Path

from presagio.registry.versions import RegisteredVersion

# How many versions are kept; one that is needed again is fetched again.
_KEPT = 16
# Where downloads go until they are whole; older ones were left by processes that were killed.
SCRATCH = ".fetch-"
# Beside the folder of a version that cannot be served: why not.
REFUSED = ".refused"
_LEFT_S = 6 * 3600.0


def folder_of(cache: Path, version: RegisteredVersion) -> Path:
    """Return where the artifact of a version is, or would be."""
    identity = json.dumps([version.name, version.version, version.run_id, version.digest])
    return cache / hashlib.sha256(identity.encode()).hexdigest()


def remove(cache: Path, folder: Path) -> None:
    """Remove a folder of the cache, and nothing else: a link is taken away, not followed.

    Raises
    ------
    ValueError
        If the folder is not in the cache itself.
    """
    place = folder.parent.resolve() / folder.name
    if place.parent != cache.resolve() or folder.name in {"", ".", ".."}:
        raise ValueError(f"{folder} is not a folder of the cache {cache}")
    if place.is_symlink() or place.is_file():
        place.unlink(missing_ok=True)
    else:
        shutil.rmtree(place, ignore_errors=True)


def place(fetched: Path, cache: Path, folder: Path) -> None:
    """Move a fetched artifact into the cache; what another process has put there stays.

    Raises
    ------
    OSError
        If it cannot be moved there.
    """
    with contextlib.suppress(OSError):
        fetched.rename(folder)
    if not folder.is_dir():
        raise OSError(f"{folder} cannot be made")
    _remove_old(cache, folder)


def touch(folder: Path) -> None:
    """Note that a folder is in use: the ones that were used last are kept."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def _remove_old(cache: Path, kept: Path) -> None:
    """Remove what has not been used for longest; what is not named by a digest is not ours."""

    def used(folder: Path) -> float:
        with contextlib.suppress(OSError):
            return folder.lstat().st_mtime
        return 0.0

    ours = [
        entry for entry in cache.iterdir()
        if len(entry.name) == hashlib.sha256().digest_size * 2 and entry != kept
    ]  # fmt: skip
    passing = [*cache.glob(f"{SCRATCH}*"), *cache.glob(f"*{REFUSED}")]
    left = [entry for entry in passing if time.time() - used(entry) > _LEFT_S]
    for entry in [*sorted(ours, key=used, reverse=True)[_KEPT - 1 :], *left]:
        remove(cache, entry)
