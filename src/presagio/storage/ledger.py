"""The ledger: who filed which object, under which name, with what result; in PostgreSQL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from presagio.errors import StorageError
from presagio.storage.compactions import Compactions, Kind
from presagio.storage.database import translated
from presagio.storage.filed_rows import FiledRows, filed_rows
from presagio.storage.receipt import Claim, ObjectIdentity, Receipt, RecordedRelease, Totals
from presagio.storage.retention import Retention
from presagio.storage.schema import CLAIMS, RECEIPTS, RELEASES, claim_of, receipt_of
from presagio.storage.transaction import Filing, filing_lock
from presagio.storage.unit_parts import UnitPart, parts_of_unit


def _is(table: sa.TableClause, identity: ObjectIdentity) -> list[sa.ColumnElement[bool]]:
    names = ("bucket", "key", "version", "sha256")
    return [table.c[name] == getattr(identity, name) for name in names]


class Ledger:
    """Claims and receipts of a fleet in PostgreSQL; failures are :class:`StorageError`.

    Parameters
    ----------
    engine
        The database.
    fleet
        Whose they are: a fleet's name, empty for the default fleet.
    """

    def __init__(self, engine: sa.Engine, fleet: str = "") -> None:
        self._engine, self._fleet = engine, fleet

    def of_fleet(self, fleet: str) -> "Ledger":
        """Return the ledger of another fleet, in the same database."""
        return Ledger(self._engine, fleet)

    def close(self) -> None:
        """Close the connections that are kept; the next use opens new ones."""
        self._engine.dispose()

    def claim(self, identity: ObjectIdentity, names: Iterable[str]) -> Claim:
        """Claim an object, or return the claim that a run before this one has left.

        Parameters
        ----------
        identity
            The object.
        names
            Names for its outputs, the best first; the first one that is free is taken for good.
        """
        again = (
            sa.update(CLAIMS)
            .where(*_is(CLAIMS, identity))
            .values(attempts=CLAIMS.c.attempts + 1)
            .returning(*CLAIMS.c)
        )
        with translated(), self._engine.begin() as connection:
            if (found := connection.execute(again).one_or_none()) is not None:
                return claim_of(found)
            for name in names:
                new = insert(CLAIMS).values({**vars(identity), "name": name, "fleet": self._fleet})
                # Of two that want the same at once, PostgreSQL lets one have it.
                new = new.on_conflict_do_nothing()
                row = connection.execute(new.returning(*CLAIMS.c)).one_or_none()
                if row is not None:
                    return claim_of(row)
                # Somebody has the name; or the object, if another run was quicker.
                if (found := connection.execute(again).one_or_none()) is not None:
                    return claim_of(found)
        raise StorageError(f"no name is free for the outputs of {identity.key}")

    @contextmanager
    def filing(self, claim: Claim) -> Iterator[Filing]:
        """Open the transaction in which a claimed object is filed.

        Of two runs that file the same bytes at once, under one name or two, one waits here until
        the other has committed. When the block ends without an error the transaction is committed.
        """
        with translated(), self._engine.begin() as connection:
            # Held until the end of the transaction; unlike a row it needs no clean-up after a kill.
            identity = claim.identity
            lock = filing_lock(identity.bucket, identity.sha256)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            yield Filing(connection, claim, self._fleet)

    def receipts(
        self,
        *,
        number: int | None = None,
        bucket: str | None = None,
        key: str | None = None,
        verdict: str | None = None,
        run_id: str | None = None,
        after: int = 0,
        limit: int | None = 100,
        every_fleet: bool = False,
    ) -> list[Receipt]:
        """Return receipts, newest first: all, or those with what is given and after a number."""
        query = sa.select(RECEIPTS).order_by(RECEIPTS.c.id.desc()).limit(limit)
        if not every_fleet:
            query = query.where(RECEIPTS.c.fleet == self._fleet)
        if after:
            query = query.where(RECEIPTS.c.id > after)
        asked = {
            "id": number, "bucket": bucket, "key": key, "verdict": verdict, "run_id": run_id,
        }  # fmt: skip
        for column, wanted in asked.items():
            if wanted is not None:
                query = query.where(RECEIPTS.c[column] == wanted)
        with translated(), self._engine.connect() as connection:
            return [receipt_of(row) for row in connection.execute(query)]

    def parts_of_unit(
        self, bucket: str, unit: str, *, newest_first: bool = True
    ) -> Iterator[UnitPart]:
        """Yield the parts with readings of a unit: see :func:`.unit_parts.parts_of_unit`."""
        with translated():
            yield from parts_of_unit(
                self._engine, bucket, self._fleet, unit, newest_first=newest_first
            )

    def filed_rows(self, bucket: str, *, after: int = 0) -> Iterator[FiledRows]:
        """Yield where the rows of files lie: see :func:`.filed_rows.filed_rows`."""
        with translated():
            yield from filed_rows(self._engine, bucket, self._fleet, after=after)

    def compactions(self, bucket: str, kind: Kind = "curated") -> Compactions:
        """Return the compactions of the curated rows that came through a bucket, or of answers."""
        return Compactions(self._engine, kind, self._fleet, bucket)

    def retention(self, bucket: str) -> Retention:
        """Return what may be removed of the files that came through a bucket."""
        return Retention(self._engine, self._fleet, bucket)

    def totals(self) -> Totals:
        """Sum up the receipts."""
        counted = sa.select(
            RECEIPTS.c.verdict,
            sa.func.count().label("files"),
            sa.func.sum(RECEIPTS.c.rows_processed).label("processed"),
            sa.func.sum(RECEIPTS.c.rows_quarantined).label("quarantined"),
            sa.func.max(RECEIPTS.c.created_at).label("last"),
        )
        counted = counted.where(RECEIPTS.c.fleet == self._fleet).group_by(RECEIPTS.c.verdict)
        each = sa.func.jsonb_each_text(RECEIPTS.c.reasons).table_valued("key", "value")
        times = sa.func.sum(sa.cast(each.c.value, sa.BigInteger))
        faults = (
            sa.select(each.c.key, times)
            .select_from(RECEIPTS.join(each, sa.true()))
            .where(RECEIPTS.c.fleet == self._fleet)
            .group_by(each.c.key)
        )
        with translated(), self._engine.connect() as connection:
            found = connection.execute(counted).all()
            reasons = {key: int(number) for key, number in connection.execute(faults)}
        return Totals(
            files={row.verdict: row.files for row in found},
            rows_processed=sum(int(row.processed or 0) for row in found),
            rows_quarantined=sum(int(row.quarantined or 0) for row in found),
            reasons=reasons,
            last=max((row.last for row in found), default=None),
        )

    def open_claims(self, bucket: str | None = None) -> list[Claim]:
        """Return the claims without a receipt: being filed just now, or left by a run that died."""
        query = (
            sa.select(CLAIMS)
            .outerjoin(RECEIPTS, RECEIPTS.c.id == CLAIMS.c.id)
            .where(RECEIPTS.c.id.is_(None), CLAIMS.c.fleet == self._fleet)
            .order_by(CLAIMS.c.id)
        )
        if bucket is not None:
            query = query.where(CLAIMS.c.bucket == bucket)
        with translated(), self._engine.connect() as connection:
            return [claim_of(row) for row in connection.execute(query)]

    def blocking(self, bucket: str, reasons: Iterable[str]) -> list[Receipt]:
        """Return the quarantined files that keep training from starting, oldest first.

        A file blocks when one of ``reasons`` refused it whole, nobody has released it, and no
        later file of the same name has been taken in its place.
        """
        later = RECEIPTS.alias("later")
        replaced = sa.exists().where(
            later.c.bucket == RECEIPTS.c.bucket,
            later.c.key == RECEIPTS.c.key,
            later.c.id > RECEIPTS.c.id,
            later.c.verdict == "processed",
        )
        query = (
            sa.select(RECEIPTS)
            .outerjoin(RELEASES, RELEASES.c.receipt_id == RECEIPTS.c.id)
            .where(
                RECEIPTS.c.bucket == bucket,
                RECEIPTS.c.fleet == self._fleet,
                RECEIPTS.c.notes["refused"].astext.in_(list(reasons)),
                RELEASES.c.receipt_id.is_(None),
                ~replaced,
            )
            .order_by(RECEIPTS.c.id)
        )
        with translated(), self._engine.connect() as connection:
            return [receipt_of(row) for row in connection.execute(query)]

    def released(self, receipt_id: int) -> RecordedRelease | None:
        """Return who has released a file; None where nobody has."""
        query = sa.select(RELEASES.c.who, RELEASES.c.why, RELEASES.c.created_at).where(
            RELEASES.c.receipt_id == receipt_id
        )
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else RecordedRelease(row.who, row.why, row.created_at)

    def release(self, receipt_id: int, *, who: str, why: str) -> Receipt | None:
        """Note that a file that blocks training has been looked at; None for no such receipt."""
        with translated(), self._engine.begin() as connection:
            query = sa.select(RECEIPTS).where(
                RECEIPTS.c.id == receipt_id, RECEIPTS.c.fleet == self._fleet
            )
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            values = {"receipt_id": receipt_id, "who": who, "why": why}
            connection.execute(insert(RELEASES).values(values).on_conflict_do_nothing())
            return receipt_of(row)
