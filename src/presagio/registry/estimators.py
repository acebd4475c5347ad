"""The estimator of a third-party model: its file, and what may be built from it."""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

from presagio.registry.description import refuse
from presagio.registry.reader import RegistryReader
from presagio.registry.versions import RegisteredVersion
from presagio.settings import Settings

_log = logging.getLogger(__name__)
# Besides what skops itself trusts, which is scikit-learn's and NumPy's own plain classes.
_ALLOWED_TYPES = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer._RemainderColsList",
    }
)
_LARGEST_UNPACKED = 2 << 30
_MOST_PARTS = 100_000


def _check_unpacked(file: Path) -> None:
    """Check that what a skops file unpacks to is bounded: it is a ZIP archive."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if len(entries) > _MOST_PARTS or sum(entry.file_size for entry in entries) > _LARGEST_UNPACKED:
        raise ValueError(f"it unpacks to more than {_LARGEST_UNPACKED} bytes")


def _load_skops(file: Path, version: RegisteredVersion) -> Any:
    import skops.io  # noqa: PLC0415 - of the extra `third-party`

    # What a damaged file raises is anything from a zip error to a missing attribute.
    try:
        _check_unpacked(file)
        strange = set(skops.io.get_untrusted_types(file=file)) - _ALLOWED_TYPES
    except Exception as err:
        raise refuse(version, f"its skops file cannot be read: {err}") from err
    if strange:
        raise refuse(version, f"types {sorted(strange)} are not on the list of trusted ones")
    try:
        return skops.io.load(file, trusted=sorted(_ALLOWED_TYPES))
    except Exception as err:
        raise refuse(version, f"its skops file cannot be loaded: {err}") from err


def load_estimator(
    reader: RegistryReader, source: str, version: RegisteredVersion, settings: Settings,
    folder: Path,
) -> tuple[Any, Path]:  # fmt: skip
    """Download and load an estimator.

    Parameters
    ----------
    reader
        The registry.
    source
        Name of the file there.
    version
        Which version.
    settings
        Which pickles are allowed.
    folder
        Where the file comes to lie.

    Returns
    -------
    tuple
        The estimator, and the file.

    Raises
    ------
    InvalidArtifactError
        If it may not be loaded, or cannot be.
    RegistryError
        If it cannot be fetched.
    """
    if source.endswith(".skops"):
        file = reader.download_source(version, source, folder / "model.skops")
        return _load_skops(file, version), file
    name = f"{version.name}/{version.version}"
    if name not in settings.allow_pickle:
        raise refuse(
            version, "it is a pickle, which runs what its author wants; log it with "
            f'serialization_format="skops", or name {name} in PRESAGIO_ALLOW_PICKLE',
        )  # fmt: skip
    file = reader.download_source(version, source, folder / "model.pickle")
    _log.warning("%s is loaded from a pickle, as PRESAGIO_ALLOW_PICKLE allows", name)
    try:
        with file.open("rb") as opened:
            return pickle.load(opened), file  # noqa: S301 - allowed by name
    except Exception as err:
        raise refuse(version, f"its pickle cannot be loaded: {err}") from err
