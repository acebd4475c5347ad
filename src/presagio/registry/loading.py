"""The one place where a version becomes a predictor, whoever made it and whoever asks.

A version of ours is fetched by its digest; a third-party one is converted, or run by scikit-learn.
Serving, gate, drift and feedback call :func:`load_version`, so that what one of them takes all do.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from presagio.errors import InvalidArtifactError, RegistryError
from presagio.inference.admission import admit
from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec
from presagio.registry import cache as caching
from presagio.registry.reader import RegistryReader
from presagio.registry.third_party import load_third_party
from presagio.registry.versions import RegisteredVersion
from presagio.settings import Settings

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
    try:
        cache.mkdir(parents=True, exist_ok=True)
        file = (cache / _LOCK).open("wb")
    except OSError as err:
        raise RegistryError(f"models cannot be kept in {cache}: {err}; check the disk") from err
    with file:
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


def load_version(
    reader: RegistryReader, version: RegisteredVersion, spec: MachineSpec, settings: Settings
) -> Predictor:
    """Fetch a version and load it, its rehearsal included.

    Parameters
    ----------
    reader
        The registry.
    version
        One of ours, or one that somebody registered by other means.
    spec
        The machine whose readings it is to take.
    settings
        Where the cache is, how long trying a model may take, which pickles are allowed.

    Returns
    -------
    Predictor
        A model that may serve; its card says what runs it.

    Raises
    ------
    InvalidArtifactError
        If it may not, or takes other inputs than the machine spec's.
    RegistryError
        If it cannot be fetched, or the cache cannot be used.
    SettingsError
        If it is a third-party one and packages are missing that such models need.
    """
    with _one_at_a_time(settings.model_cache, 2 * settings.model_trial_s):
        if version.digest is None:
            return load_third_party(reader, version, spec, settings)
        return _load_artifact(reader, version, version.digest, spec, settings)


def _load_artifact(
    reader: RegistryReader, version: RegisteredVersion, digest: str, spec: MachineSpec,
    settings: Settings,
) -> Predictor:  # fmt: skip
    cache = settings.model_cache
    folder = caching.folder_of(cache, version)
    _check_not_refused(folder)

    def load(*, anew: bool) -> Predictor:
        fetched = reader.fetch(version, cache, anew=anew)
        return admit(fetched, digest=digest, spec=spec, limit_s=settings.model_trial_s)

    kept = folder.is_dir()
    try:
        try:
            return load(anew=False)
        except InvalidArtifactError:
            if not kept:
                raise
            # The copy in the cache may be the damaged one.
            return load(anew=True)
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
