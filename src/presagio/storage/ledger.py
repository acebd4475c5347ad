"""The ledger: who filed which object, under which name, with what result; in PostgreSQL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from presagio.errors import StorageError
from presagio.storage.alarms import Alarms
from presagio.storage.arrivals import Arrivals
from presagio.storage.audit import AuditLog, add_entry
from presagio.storage.blocking import blocking_query
from presagio.storage.compactions import Compactions, Kind
from presagio.storage.database import translated
from presagio.storage.filed_receipts import FiledReceipts
from presagio.storage.filed_rows import FiledRows, filed_rows
from presagio.storage.parts_of_units import PartsOfUnits, parts_of_units
from presagio.storage.receipt import (
    Claim,
    ObjectIdentity,
    Receipt,
    RecordedRelease,
)
from presagio.storage.receipt_pages import receipts_by_number
from presagio.storage.retention import Retention
from presagio.storage.schema import CLAIMS, RECEIPTS, RELEASES, claim_of, receipt_of
from presagio.storage.transaction import Filing, filing_lock
from presagio.storage.unit_states import UnitStates


def _is(table: sa.TableClause, identity: ObjectIdentity) -> list[sa.ColumnElement[bool]]:
    names = ("bucket", "key", "version", "sha256")
    return [table.c[name] == getattr(identity, name) for name in names]


class Ledger(FiledReceipts):
    """Claims and receipts of a fleet in PostgreSQL; failures are :class:`StorageError`.

    Parameters
    ----------
    engine
        The database.
    fleet
        Whose they are: a fleet's name, empty for the default fleet.
    """

    @property
    def fleet(self) -> str:
        """Whose it is; empty for the default fleet."""
        return self._fleet

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

    @contextmanager
    def sending(self, bucket: str, key: str) -> Iterator[bool]:
        """Tell whether nobody else sends an object under a key at this moment; nobody does then.

        Yields
        ------
        bool
            Until the block ends; whoever is told no has to come again.
        """
        lock = sa.func.hashtextextended(f"sending/{bucket}/{key}", 0)
        with translated(), self._engine.begin() as connection:
            alone = connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(lock)))
            yield bool(alone.scalar_one())

    @contextmanager
    def parts_of_units(self, bucket: str) -> Iterator[PartsOfUnits]:
        """Open what lists the parts of units: see :func:`.parts_of_units.parts_of_units`."""
        with translated(), parts_of_units(self._engine, bucket, self._fleet) as parts:
            yield parts

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

    def arrivals(self) -> Arrivals:
        """Return what waits to be scored of the fleet."""
        return Arrivals(self._engine, self._fleet)

    def audit(self) -> AuditLog:
        """Return the audit log, which is that of all fleets."""
        return AuditLog(self._engine)

    def alarms(self) -> Alarms:
        """Return the cases of the fleet."""
        return Alarms(self._engine, self._fleet)

    def unit_states(self) -> UnitStates:
        """Return the states of the fleet's units."""
        return UnitStates(self._engine, self._fleet)

    def open_claims(self, bucket: str | None = None) -> list[Claim]:
        """Return the claims without a receipt: being filed just now, or left by a run that died."""
        query = (
            sa.select(CLAIMS)
            .where(~CLAIMS.c.filed, CLAIMS.c.fleet == self._fleet)
            .order_by(CLAIMS.c.id)
        )
        if bucket is not None:
            query = query.where(CLAIMS.c.bucket == bucket)
        with translated(), self._engine.connect() as connection:
            return [claim_of(row) for row in connection.execute(query)]

    def blocking(
        self,
        bucket: str,
        reasons: Iterable[str],
        *,
        number: int | None = None,
        limit: int | None = None,
    ) -> list[Receipt]:
        """Return the quarantined files that keep training from starting, oldest first.

        A file blocks when one of ``reasons`` refused it whole, nobody has released it, and no
        later file of the same name has been taken in its place.

        Parameters
        ----------
        bucket, reasons
            Of which.
        number
            Only the receipt with this number, if it blocks.
        limit
            How many to return at most.
        """
        with translated(), self._engine.connect() as connection:
            query = blocking_query(bucket, self._fleet, reasons, number=number, limit=limit)
            numbers = list(connection.scalars(query))
        with translated():
            return list(receipts_by_number(self._engine, numbers))

    def released(self, receipt_id: int) -> RecordedRelease | None:
        """Return who has released a file; None where nobody has."""
        query = sa.select(RELEASES.c.who, RELEASES.c.why, RELEASES.c.created_at).where(
            RELEASES.c.receipt_id == receipt_id
        )
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else RecordedRelease(row.who, row.why, row.created_at)

    def release(
        self, receipt_id: int, *, who: str, why: str, scope: str = "operate"
    ) -> Receipt | None:
        """Note that a file that blocks training has been looked at, in the audit log too.

        Returns
        -------
        Receipt or None
            None for no such receipt.
        """
        with translated(), self._engine.begin() as connection:
            query = sa.select(RECEIPTS).where(
                RECEIPTS.c.id == receipt_id, RECEIPTS.c.fleet == self._fleet
            )
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            values = {"receipt_id": receipt_id, "who": who, "why": why}
            new = insert(RELEASES).values(values).on_conflict_do_nothing()
            if connection.execute(new.returning(RELEASES.c.receipt_id)).first() is not None:
                add_entry(
                    connection, who=who, scope=scope, action="file.release",
                    target=f"receipt {receipt_id}", why=why, detail={"key": row.key},
                )  # fmt: skip
            return receipt_of(row)
