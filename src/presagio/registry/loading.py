"""The one place where a version of ours becomes a predictor: fetched, tried, loaded, rehearsed."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from presagio.errors import InvalidArtifactError
from presagio.inference.predictor import Predictor, check_inputs, load_predictor
from presagio.inference.rehearsal import rehearse
from presagio.inference.trial import try_once
from presagio.machine.spec import MachineSpec
from presagio.registry import cache as caching
from presagio.registry.reader import RegistryReader
from presagio.registry.versions import RegisteredVersion

_LOCK = ".lock"
_WAIT_S = 0.05
# Less than what a follower waits before it tries a refused version again.
_REFUSED_S = 45.0
_SHOWN = 2000


@contextlib.contextmanager
def _one_at_a_time(cache: Path, limit_s: float) -> Iterator[None]:
    """Let one process fetch and try at a time: the others find its result in the cache.

    One that has waited too long goes ahead: what it does is right by itself, only done twice.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / _LOCK).open("wb") as file:
        until = time.monotonic() + limit_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    break
                time.sleep(_WAIT_S)
        yield


def load_cached(folder: Path, digest: str, spec: MachineSpec, *, limit_s: float) -> Predictor:
    """Load an artifact that is in the cache.

    Parameters
    ----------
    folder
        The artifact folder.
    digest
        The digest that it must have.
    spec
        The machine whose readings it is to take.
    limit_s
        Seconds that trying it may take; nothing if it has been tried before.

    Raises
    ------
    InvalidArtifactError
        If it cannot be served.
    """
    try_once(folder, digest=digest, limit_s=limit_s)
    predictor = load_predictor(folder, digest=digest)
    check_inputs(predictor, spec)
    rehearse(predictor)
    return predictor


def load_version(
    reader: RegistryReader, version: RegisteredVersion, spec: MachineSpec, cache: Path, *,
    limit_s: float,
) -> Predictor:  # fmt: skip
    """Fetch a version and load it as serving does, its recorded examples included.

    Parameters
    ----------
    reader
        The registry.
    version
        One that has an artifact of ours.
    spec
        The machine whose readings it is to take.
    cache
        Where fetched artifacts are kept.
    limit_s
        Seconds that trying it may take.

    Raises
    ------
    InvalidArtifactError
        If it cannot be served, or takes other inputs than the machine spec's.
    RegistryError
        If it cannot be fetched.
    """
    if version.digest is None:
        raise InvalidArtifactError(
            f"{version.name} version {version.version} was registered by other means than "
            "presagio train: it has no artifact of ours"
        )
    folder = caching.folder_of(cache, version)
    with _one_at_a_time(cache, 2 * limit_s):
        _check_not_refused(folder)
        kept = folder.is_dir()
        try:
            try:
                return load_cached(
                    reader.fetch(version, cache), version.digest, spec, limit_s=limit_s
                )
            except InvalidArtifactError:
                if not kept:
                    raise
                # The copy in the cache may be the damaged one.
                folder = reader.fetch(version, cache, anew=True)
                return load_cached(folder, version.digest, spec, limit_s=limit_s)
        except InvalidArtifactError as err:
            _note_refusal(cache, folder, str(err))
            raise


def _refusal(folder: Path) -> Path:
    return folder.with_name(folder.name + caching.REFUSED)


def _check_not_refused(folder: Path) -> None:
    """Raise what another process has just found: a trial that runs into its limit takes long."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        note = _refusal(folder)
        if 0 <= time.time() - note.stat().st_mtime < _REFUSED_S:
            raise InvalidArtifactError(note.read_text("utf-8")[:_SHOWN])


def _note_refusal(cache: Path, folder: Path, why: str) -> None:
    caching.remove(cache, folder)
    with contextlib.suppress(OSError):
        _refusal(folder).write_text(why[:_SHOWN], encoding="utf-8", errors="replace")
