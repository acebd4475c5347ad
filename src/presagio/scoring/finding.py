"""Which files of a place are scored, and which are results or of other kinds."""

from pathlib import PurePosixPath

from presagio.errors import DataError
from presagio.scoring.one_file import FORMS
from presagio.scoring.places import (
    RECORDS,
    FolderPlace,
    FoundFile,
    Place,
    StorePlace,
    is_safe,
    open_place,
)
from presagio.scoring.run import REJECTED, RESULT
from presagio.settings import Settings


def _nested(source: Place, to: Place) -> str | None:
    """Return what names of results begin with where they lie below the files; None elsewhere."""
    if isinstance(source, FolderPlace) and isinstance(to, FolderPlace):
        if not to.folder.is_relative_to(source.folder):
            return None
        below = to.folder.relative_to(source.folder).as_posix()
        return "" if below == "." else f"{below}/"
    if not isinstance(source, StorePlace) or not isinstance(to, StorePlace):
        return None
    if source.bucket != to.bucket or not to.prefix.startswith(source.prefix):
        return None
    return to.prefix.removeprefix(source.prefix)


def _open(address: str, settings: Settings) -> tuple[Place, str | None]:
    """Open where files lie; an address may name one of them, whose name is returned too."""
    place = open_place(address, settings)
    if isinstance(place, FolderPlace):
        if place.folder.is_file():
            return FolderPlace(place.folder.parent), place.folder.name
        if not place.folder.is_dir():
            raise DataError(f"{place.folder} is neither a folder nor a file")
    elif isinstance(place, StorePlace) and (key := place.prefix.rstrip("/")):
        above, _, name = key.rpartition("/")
        parent = StorePlace(place.store, place.bucket, f"{above}/" if above else "")
        if not address.endswith("/") and parent.find(name) is not None:
            return parent, name
    return place, None


def _is_result(name: str) -> bool:
    return name.endswith((RESULT, REJECTED)) or f"/{RECORDS}" in f"/{name}"


def find_files(address: str, to: Place, settings: Settings) -> tuple[str, list[FoundFile], int]:
    """Find the files below an address.

    Parameters
    ----------
    address
        A folder, a file or ``s3://BUCKET/PREFIX``.
    to
        Where results go.
    settings
        How the store is reached.

    Returns
    -------
    str, list of FoundFile, int
        The place that the files' names are within, the files, and how many others there are.

    Raises
    ------
    DataError
        If there is none, results would lie among them, or a name leads out of its place.
    StorageError
        If the store fails.
    """
    place, one = _open(address, settings)
    nested = _nested(place, to)
    if nested == "":
        raise DataError(f"results cannot go where the files are ({to.address}); take another --to")
    found, others = [], 0
    for file in place.files() if one is None else [place.find(one)]:
        if file is None or (nested is not None and file.name.startswith(nested)):
            continue
        if _is_result(file.name) or PurePosixPath(file.name).suffix.lower() not in FORMS:
            others += 1
            continue
        if not is_safe(file.name):
            raise DataError(f"the name {file.name!r:.200} leads out of {place.address}")
        found.append(file)
    if not found:
        raise DataError(f"there is no file of {' or '.join(FORMS)} in {address}")
    return place.address, found, others
