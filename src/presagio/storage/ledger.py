"""The ledger: receipts of ingested objects, in PostgreSQL."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from presagio.errors import StorageError

Verdict = Literal["processed", "quarantined"]

_RECEIPTS = sa.table(
    "receipts",
    sa.column("id", sa.BigInteger),
    sa.column("bucket", sa.Text),
    sa.column("key", sa.Text),
    sa.column("etag", sa.Text),
    sa.column("sha256", sa.Text),
    sa.column("size_bytes", sa.BigInteger),
    sa.column("verdict", sa.Text),
    sa.column("rows_in", sa.BigInteger),
    sa.column("rows_processed", sa.BigInteger),
    sa.column("rows_quarantined", sa.BigInteger),
    sa.column("reasons", JSONB),
    sa.column("processed_key", sa.Text),
    sa.column("quarantine_key", sa.Text),
    sa.column("archive_key", sa.Text),
    sa.column("run_id", sa.Text),
    sa.column("created_at", sa.DateTime(timezone=True)),
)


@dataclass(frozen=True)
class ObjectIdentity:
    """What makes an object in a bucket the one it is; a new ETag or other bytes are another."""

    bucket: str
    key: str
    etag: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Outcome:
    """What became of an object: verdict, row counts, reasons with counts, where things lie."""

    verdict: Verdict
    rows_in: int
    rows_processed: int
    rows_quarantined: int
    reasons: Mapping[str, int]
    processed_key: str | None
    quarantine_key: str | None
    archive_key: str


@dataclass(frozen=True)
class Receipt:
    """The ledger's row for one ingested object."""

    id: int
    identity: ObjectIdentity
    outcome: Outcome
    run_id: str | None
    created_at: datetime


def _receipt(row: sa.Row[Any]) -> Receipt:
    fields = row._asdict()
    identity = ObjectIdentity(
        *(fields[name] for name in ("bucket", "key", "etag", "sha256", "size_bytes"))
    )
    outcome = Outcome(**{name: fields[name] for name in Outcome.__dataclass_fields__})
    return Receipt(fields["id"], identity, outcome, fields["run_id"], fields["created_at"])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as err:
        raise StorageError(
            f"the ledger cannot be used: {type(err.orig).__name__}: {err.orig}; "
            "check PRESAGIO_DATABASE_URL and that PostgreSQL is up"
        ) from err


class Ledger:
    """Receipts in PostgreSQL; failures are :class:`StorageError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def filing(self, identity: ObjectIdentity) -> Iterator["Filing"]:
        """Open the transaction in which one object is filed.

        Of two runs that file the same object at once, one waits here until the other has
        committed. When the block ends without an error the transaction is committed.
        """
        with _translated(), self._engine.begin() as connection:
            # Held until the end of the transaction; unlike a row it needs no clean-up after a kill.
            lock = sa.func.hashtextextended(f"{identity.bucket}/{identity.key}", 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            yield Filing(connection, identity)

    def receipts(
        self, *, bucket: str | None = None, key: str | None = None, limit: int | None = 100
    ) -> list[Receipt]:
        """Return receipts, newest first: all, or those of one bucket or one incoming key."""
        query = sa.select(_RECEIPTS).order_by(_RECEIPTS.c.id.desc()).limit(limit)
        if bucket is not None:
            query = query.where(_RECEIPTS.c.bucket == bucket)
        if key is not None:
            query = query.where(_RECEIPTS.c.key == key)
        with _translated(), self._engine.connect() as connection:
            return [_receipt(row) for row in connection.execute(query)]


class Filing:
    """The open transaction in which one object is filed."""

    def __init__(self, connection: sa.Connection, identity: ObjectIdentity) -> None:
        self._connection = connection
        self._identity = identity

    def earlier(self) -> Receipt | None:
        """Return the receipt of this very object, if it has been filed before."""
        own = self._identity
        query = sa.select(_RECEIPTS).where(
            _RECEIPTS.c.bucket == own.bucket,
            _RECEIPTS.c.key == own.key,
            _RECEIPTS.c.etag == own.etag,
            _RECEIPTS.c.sha256 == own.sha256,
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _receipt(row)

    def is_taken(self, output_key: str) -> bool:
        """Tell whether another object's rows already lie under this key."""
        query = sa.select(sa.literal(1)).where(
            _RECEIPTS.c.bucket == self._identity.bucket,
            sa.or_(
                _RECEIPTS.c.processed_key == output_key, _RECEIPTS.c.quarantine_key == output_key
            ),
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def commit_receipt(self, outcome: Outcome, run_id: str | None) -> Receipt:
        """Write the receipt; it counts once the transaction is committed."""
        values = {**vars(self._identity), **vars(outcome), "run_id": run_id}
        values["reasons"] = dict(outcome.reasons)
        statement = sa.insert(_RECEIPTS).values(values).returning(*_RECEIPTS.c)
        return _receipt(self._connection.execute(statement).one())
