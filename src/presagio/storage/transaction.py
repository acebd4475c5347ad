"""The transaction in which one object is filed: it counts as a whole or not at all."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from presagio.storage.arrivals import follow_again
from presagio.storage.receipt import Claim, FilingOutcome, Receipt
from presagio.storage.schema import RECEIPTS, REMOVED_ORIGINALS, receipt_of
from presagio.storage.unit_parts import Filed, UnitSpans, overlapping_units, replace_spans


def _columns(outcome: FilingOutcome) -> dict[str, Any]:
    """Return an outcome as the values of a receipt's columns."""
    values = dict(vars(outcome))
    for name in ("reasons", "digests", "notes"):
        values[name] = dict(values[name])
    for name in ("warnings", "curated_keys"):
        values[name] = list(values[name])
    return values


def filing_lock(bucket: str, sha256: str | sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Return the number of the lock that is held while bytes are filed, or checked again."""
    return sa.func.hashtextextended(sa.literal(f"{bucket}/") + sha256, 0)


class Filing:
    """The open transaction in which one object is filed."""

    def __init__(self, connection: sa.Connection, claim: Claim, fleet: str) -> None:
        self._connection, self._claim, self._fleet = connection, claim, fleet

    def earlier(self) -> Receipt | None:
        """Return the receipt of this very object, if it has been filed before."""
        query = sa.select(RECEIPTS).where(RECEIPTS.c.id == self._claim.id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else receipt_of(row)

    def same_bytes(self, *, but_refused_for: str | None = None) -> Receipt | None:
        """Return the receipt of another object of the fleet with the same bytes, if there is one.

        One that was refused for the reason ``but_refused_for`` does not count.
        """
        identity = self._claim.identity
        query = (
            sa.select(RECEIPTS)
            .where(
                RECEIPTS.c.fleet == self._fleet,
                RECEIPTS.c.bucket == identity.bucket,
                RECEIPTS.c.sha256 == identity.sha256,
                RECEIPTS.c.verdict != "duplicate",
            )
            .order_by(RECEIPTS.c.id)
        )
        for receipt in map(receipt_of, self._connection.execute(query)):
            if but_refused_for is None or receipt.outcome.notes.get("refused") != but_refused_for:
                return receipt
        return None

    @property
    def _filed(self) -> Filed:
        return Filed(self._claim.id, self._claim.identity.bucket, self._fleet)

    def overlapping_units(self, spans: UnitSpans) -> int:
        """Count the units of which other files have readings among the times of this one's."""
        return overlapping_units(self._connection, self._filed, spans)

    def has_lost_original(self, key: str) -> bool:
        """Tell whether an original is kept no more: it was too old, and the same bytes come now."""
        here = REMOVED_ORIGINALS.c
        query = sa.exists().where(here.bucket == self._claim.identity.bucket, here.key == key)
        return bool(self._connection.execute(sa.select(query)).scalar_one())

    def _keep_original(self, outcome: FilingOutcome) -> None:
        """Note that an original is there, whatever was noted of it before."""
        here = REMOVED_ORIGINALS.c
        self._connection.execute(
            sa.delete(REMOVED_ORIGINALS).where(
                here.bucket == self._claim.identity.bucket, here.key == outcome.archive_key
            )
        )

    def commit_receipt(
        self, outcome: FilingOutcome, run_id: str | None, spans: UnitSpans | None = None
    ) -> Receipt:
        """Write the receipt, and where units lie; it counts once the transaction is committed."""
        values = {**vars(self._claim.identity), **_columns(outcome)}
        values |= {"id": self._claim.id, "run_id": run_id, "fleet": self._fleet}
        statement = sa.insert(RECEIPTS).values(values).returning(*RECEIPTS.c)
        receipt = receipt_of(self._connection.execute(statement).one())
        replace_spans(self._connection, self._filed, spans or UnitSpans())
        self._keep_original(outcome)
        return receipt

    def replace_outcome(
        self, outcome: FilingOutcome, spans: UnitSpans, *, of_events: bool = False
    ) -> Receipt:
        """Put what came of the same bytes now in the place of what did; number and date stay.

        A log of events is followed again then.
        """
        self._keep_original(outcome)
        if of_events:
            is_taken = outcome.verdict == "processed"
            follow_again(self._connection, self._fleet, self._claim.id, is_taken=is_taken)
        return self._update(_columns(outcome), spans)

    def replace_outputs(self, outcome: FilingOutcome, spans: UnitSpans) -> Receipt:
        """Note where the outputs lie that were written again; counts and verdict stay."""
        places = ("curated_keys", "digests", "processed_key", "quarantine_key")
        values = _columns(outcome)
        return self._update({name: values[name] for name in places}, spans)

    def _update(self, values: Mapping[str, Any], spans: UnitSpans) -> Receipt:
        statement = (
            sa.update(RECEIPTS).where(RECEIPTS.c.id == self._claim.id).values(values)
        ).returning(*RECEIPTS.c)
        # First: here it waits for a compaction that is being committed, and takes the file out of
        # it then.
        receipt = receipt_of(self._connection.execute(statement).one())
        replace_spans(self._connection, self._filed, spans)
        return receipt
