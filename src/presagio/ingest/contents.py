"""What lies in the buckets, kept in a file while it is compared: it may be millions of objects."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from presagio.ingest.filing import Intake


class Contents:
    """Objects by bucket and key, and which of them a receipt or claim knows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # It is made anew each time: a file that is cut off is worth nothing anyway.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE objects (bucket TEXT, key TEXT, known INTEGER NOT NULL DEFAULT 0, "
            "PRIMARY KEY (bucket, key)) WITHOUT ROWID"
        )

    def add(self, bucket: str, keys: Iterable[str]) -> None:
        """Add objects."""
        rows = ((bucket, key) for key in keys)
        self._connection.executemany(
            "INSERT OR IGNORE INTO objects (bucket, key) VALUES (?, ?)", rows
        )

    def has(self, bucket: str, key: str) -> bool:
        """Tell whether an object is there."""
        query = "SELECT 1 FROM objects WHERE bucket = ? AND key = ?"
        return self._connection.execute(query, (bucket, key)).fetchone() is not None

    def know(self, objects: Iterable[tuple[str, str]]) -> None:
        """Note that objects, by bucket and key, belong to a receipt."""
        self._connection.executemany(
            "UPDATE objects SET known = 1 WHERE bucket = ? AND key = ?", objects
        )

    def unknown(self) -> Iterator[tuple[str, str]]:
        """Yield the objects that belong to none, by bucket and key, in their order."""
        query = "SELECT bucket, key FROM objects WHERE NOT known ORDER BY bucket, key"
        yield from self._connection.execute(query)

    def __len__(self) -> int:
        """Count the objects."""
        return int(self._connection.execute("SELECT count(*) FROM objects").fetchone()[0])


@contextmanager
def listed_contents(intake: Intake) -> Iterator[Contents]:
    """List what the intake has written, for as long as the block runs.

    Raises
    ------
    StorageError
        If the store cannot be reached.
    """
    prefixes = intake.prefixes
    places = [
        (prefixes.bucket, prefixes.processed),
        (prefixes.bucket, prefixes.quarantine),
        (prefixes.bucket, prefixes.archive),
        (prefixes.curated_bucket, prefixes.curated),
    ]
    with (
        TemporaryDirectory(prefix="presagio-verify-") as folder,
        closing(sqlite3.connect(Path(folder) / "contents.sqlite")) as connection,
    ):
        contents = Contents(connection)
        for bucket, prefix in places:
            contents.add(bucket, (stored.key for stored in intake.store.list(bucket, prefix)))
        yield contents
