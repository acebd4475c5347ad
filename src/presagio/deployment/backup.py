"""Buckets as one tar stream, and back.

``python -m presagio.deployment.backup save BUCKET... > FILE``, and ``restore BUCKET... < FILE``.

The databases are dumped by PostgreSQL's own tools; deploy/backup.sh does both.
"""

import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from presagio.settings import load_settings
from presagio.storage.objects import ObjectStore, open_store

_METADATA = "PRESAGIO.metadata."


def save_buckets(store: ObjectStore, buckets: Iterable[str], out: IO[bytes]) -> int:
    """Write every object of some buckets, with its metadata, as ``BUCKET/KEY``; return how many.

    What comes or goes meanwhile may be in it or not; each object is whole.

    Raises
    ------
    StorageError
        If the object store does not answer.
    """
    saved = 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for bucket in buckets:
            for found in store.list(bucket):
                with tempfile.TemporaryFile() as file:
                    stored = store.download(bucket, found.key, file)
                    if stored is None:
                        continue
                    entry = tarfile.TarInfo(f"{bucket}/{found.key}")
                    entry.size, entry.mode = stored.size, 0o600
                    entry.pax_headers = {
                        _METADATA + name: value
                        for name, value in store.metadata(bucket, found.key).items()
                    }
                    file.seek(0)
                    archive.addfile(entry, file)
                    saved += 1
    return saved


def restore_buckets(store: ObjectStore, buckets: Iterable[str], source: IO[bytes]) -> int:
    """Make some buckets hold what was saved, and nothing else; return how many objects.

    Raises
    ------
    StorageError
        If the object store does not answer.
    tarfile.TarError
        If this is no such stream, or a part of one; nothing is deleted then.
    """
    wanted: dict[str, set[str]] = {bucket: set() for bucket in buckets}
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for entry in archive:
            bucket, _, key = entry.name.partition("/")
            body = archive.extractfile(entry)
            if bucket not in wanted or body is None:
                continue
            metadata = {
                name.removeprefix(_METADATA): value
                for name, value in entry.pax_headers.items()
                if name.startswith(_METADATA)
            }
            with tempfile.NamedTemporaryFile() as file:
                while block := body.read(1 << 20):
                    file.write(block)
                file.flush()
                store.upload(bucket, key, Path(file.name), metadata=metadata)
            wanted[bucket].add(key)
    for bucket, keys in wanted.items():
        for stored in list(store.list(bucket)):
            if stored.key not in keys:
                store.delete_unchanged(bucket, stored)
    return sum(map(len, wanted.values()))


if __name__ == "__main__":
    what, *names = sys.argv[1:]
    store = open_store(load_settings())
    if what == "save":
        number = save_buckets(store, names, sys.stdout.buffer)
    else:
        number = restore_buckets(store, names, sys.stdin.buffer)
    sys.stderr.write(f"{what}: {number} objects\n")
