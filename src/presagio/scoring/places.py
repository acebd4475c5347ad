"""Where files of readings lie and where results go: a folder, or a prefix in the object store.

A result is written aside and then named, so that nobody sees a part of one.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from presagio.errors import DataError, StorageError
from presagio.settings import Settings

if TYPE_CHECKING:
    from presagio.storage.objects import ObjectStore

# Below a place of results: what is known of them. Programs that read data sets leave out folders
# that begin like this.
RECORDS = "_presagio/"
_ASIDE = f"{RECORDS}aside"
_SCHEME = "s3://"
# What is written aside is older than this only where its process was killed.
_LEFT_S = 24 * 3600.0


@dataclass(frozen=True)
class FoundFile:
    """A file: its name within its place, its size in bytes, and what changes when it does."""

    name: str
    size: int
    etag: str


@dataclass(frozen=True)
class FetchedFile:
    """A file that can be read, and as what it was found."""

    path: Path
    found: FoundFile


def is_safe(name: str) -> bool:
    """Tell whether a name stays within its place."""
    parts = name.split("/")
    return "\0" not in name and "\\" not in name and not {"", ".", ".."} & {*parts}


class Place(Protocol):
    """Files by their names; failures are :class:`StorageError` or :class:`OSError`."""

    @property
    def address(self) -> str:
        """What :func:`open_place` makes this place of."""

    def files(self, below: str = "") -> Iterator[FoundFile]:
        """Yield the files whose names begin with a text, in the order of their names."""

    def fetch(self, name: str) -> AbstractContextManager[FetchedFile]:
        """Give a file to read as long as it is needed."""

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Give a path to write to; what is there gets its name when all went well."""

    def find(self, name: str) -> FoundFile | None:
        """Return what has a name, or None."""

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""


@dataclass(frozen=True)
class FolderPlace:
    """A folder of this machine, or one that several machines share."""

    folder: Path

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.folder)

    def files(self, below: str = "") -> Iterator[FoundFile]:
        """Yield the files, hidden ones left out."""
        names = []
        for root, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            here = Path(root).relative_to(self.folder)
            names += [(here / name).as_posix() for name in files if not name.startswith(".")]
        for name in sorted(names):
            if name.startswith(below) and (found := self.find(name)) is not None:
                yield found

    def find(self, name: str) -> FoundFile | None:
        """Return what has a name, or None."""
        try:
            status = (self.folder / name).stat()
        except FileNotFoundError:
            return None
        return FoundFile(name, status.st_size, f"{status.st_mtime_ns:x}-{status.st_size:x}")

    @contextlib.contextmanager
    def fetch(self, name: str) -> Iterator[FetchedFile]:
        """Give a file where it lies.

        Raises
        ------
        StorageError
            If it is gone.
        """
        found = self.find(name)
        if found is None:
            raise StorageError(f"{self.folder / name} is gone")
        yield FetchedFile(self.folder / name, found)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a path on the same disk, which is renamed."""
        aside = self.folder / _ASIDE
        aside.mkdir(parents=True, exist_ok=True)
        path = aside / uuid4().hex
        try:
            yield path
            with path.open("rb") as file:
                os.fsync(file.fileno())
            final = self.folder / name
            final.parent.mkdir(parents=True, exist_ok=True)
            path.replace(final)
        finally:
            path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        (self.folder / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what processes that were killed have left."""
        for path in (self.folder / _ASIDE).glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _LEFT_S:
                    path.unlink()


@dataclass(frozen=True)
class StorePlace:
    """A prefix of a bucket: an object comes whole or not at all."""

    store: "ObjectStore"
    bucket: str
    prefix: str

    @property
    def address(self) -> str:
        """The bucket and the prefix."""
        return f"{_SCHEME}{self.bucket}/{self.prefix}"

    def files(self, below: str = "") -> Iterator[FoundFile]:
        """Yield the objects, those that stand for folders left out."""
        for stored in self.store.list(self.bucket, self.prefix + below):
            name = stored.key.removeprefix(self.prefix)
            if name and not name.endswith("/"):
                yield FoundFile(name, stored.size, stored.etag)

    def find(self, name: str) -> FoundFile | None:
        """Return what has a name, or None."""
        stored = self.store.head(self.bucket, self.prefix + name)
        return None if stored is None else FoundFile(name, stored.size, stored.etag)

    @contextlib.contextmanager
    def fetch(self, name: str) -> Iterator[FetchedFile]:
        """Bring an object to a disk.

        Raises
        ------
        StorageError
            If it is gone, or the store fails.
        """
        with tempfile.TemporaryDirectory(prefix="presagio-score-") as folder:
            path = Path(folder) / ("file" + PurePosixPath(name).suffix)
            with path.open("w+b") as file:
                stored = self.store.download(self.bucket, self.prefix + name, file)
            if stored is None:
                raise StorageError(f"{self.address}{name} is gone")
            yield FetchedFile(path, FoundFile(name, stored.size, stored.etag))

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a path on a disk, which is uploaded."""
        folder = Path(tempfile.mkdtemp(prefix="presagio-score-"))
        try:
            yield folder / "file"
            self.store.upload(self.bucket, self.prefix + name, folder / "file")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Remove an object, if there is one."""
        stored = self.store.head(self.bucket, self.prefix + name)
        if stored is not None:
            self.store.delete_unchanged(self.bucket, stored)


def open_place(address: str, settings: Settings) -> Place:
    """Open what an address names: ``s3://BUCKET/PREFIX``, or a folder.

    Raises
    ------
    DataError
        If it is neither.
    """
    if not address.startswith(_SCHEME):
        if "://" in address:
            raise DataError(f"{address}: write s3://BUCKET/PREFIX, or a folder of this machine")
        return FolderPlace(Path(address).expanduser().resolve())
    # A sixth of a worker's start, and folders need none of it.
    from presagio.storage.objects import open_store  # noqa: PLC0415

    bucket, _, prefix = address.removeprefix(_SCHEME).partition("/")
    if not bucket:
        raise DataError(f"{address} names no bucket; write s3://BUCKET/PREFIX")
    whole = prefix.rstrip("/")
    return StorePlace(open_store(settings), bucket, f"{whole}/" if whole else "")
