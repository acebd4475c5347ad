"""The ledgers' tables, as the migrations leave them, and what their rows hold."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from presagio.storage.receipt import Claim, FilingOutcome, ObjectIdentity, Receipt

_OBJECT = ("bucket", "key", "version", "sha256")


def _identity_columns() -> list[sa.ColumnClause[Any]]:
    texts: list[sa.ColumnClause[Any]] = [sa.column(name, sa.Text) for name in _OBJECT]
    return [sa.column("id", sa.BigInteger), *texts, sa.column("size_bytes", sa.BigInteger)]


CLAIMS = sa.table(
    "claims",
    *_identity_columns(),
    sa.column("fleet", sa.Text),
    sa.column("name", sa.Text),
    sa.column("attempts", sa.Integer),
    sa.column("filed", sa.Boolean),
    sa.column("created_at", sa.DateTime(timezone=True)),
)

RECEIPTS = sa.table(
    "receipts",
    *_identity_columns(),
    sa.column("fleet", sa.Text),
    sa.column("verdict", sa.Text),
    sa.column("rows_in", sa.BigInteger),
    sa.column("rows_processed", sa.BigInteger),
    sa.column("rows_quarantined", sa.BigInteger),
    sa.column("reasons", JSONB),
    sa.column("processed_key", sa.Text),
    sa.column("quarantine_key", sa.Text),
    sa.column("archive_key", sa.Text),
    sa.column("curated_keys", JSONB),
    sa.column("digests", JSONB),
    sa.column("notes", JSONB),
    sa.column("warnings", JSONB),
    sa.column("message", sa.Text),
    sa.column("duplicate_of", sa.BigInteger),
    sa.column("run_id", sa.Text),
    sa.column("created_at", sa.DateTime(timezone=True)),
)

RECEIPT_TOTALS = sa.table(
    "receipt_totals",
    sa.column("fleet", sa.Text),
    sa.column("kind", sa.Text),
    sa.column("name", sa.Text),
    sa.column("share", sa.SmallInteger),
    sa.column("number", sa.BigInteger),
    sa.column("newest", sa.DateTime(timezone=True)),
)

RELEASES = sa.table(
    "releases",
    sa.column("receipt_id", sa.BigInteger),
    sa.column("who", sa.Text),
    sa.column("why", sa.Text),
    sa.column("created_at", sa.DateTime(timezone=True)),
)

UNIT_PARTS = sa.table(
    "unit_parts",
    sa.column("receipt_id", sa.BigInteger),
    sa.column("part", sa.Integer),
    sa.column("unit", sa.Text),
    sa.column("fleet", sa.Text),
    sa.column("bucket", sa.Text),
    sa.column("oldest", sa.Double),
    sa.column("newest", sa.Double),
)

COMPACTIONS = sa.table(
    "compactions",
    sa.column("id", sa.BigInteger),
    sa.column("kind", sa.Text),
    sa.column("fleet", sa.Text),
    sa.column("bucket", sa.Text),
    sa.column("place", sa.Text),
    sa.column("keys", JSONB),
    sa.column("digests", JSONB),
    sa.column("files", sa.BigInteger),
    sa.column("rows", sa.BigInteger),
    sa.column("committed_at", sa.DateTime(timezone=True)),
)

COMPACTED_RECEIPTS = sa.table(
    "compacted_receipts",
    sa.column("receipt_id", sa.BigInteger),
    sa.column("compaction_id", sa.BigInteger),
    sa.column("removed_at", sa.DateTime(timezone=True)),
)

COMPACTED_SPANS = sa.table(
    "compacted_spans",
    sa.column("compaction_id", sa.BigInteger),
    sa.column("part", sa.Integer),
    sa.column("unit", sa.Text),
    sa.column("fleet", sa.Text),
    sa.column("bucket", sa.Text),
    sa.column("oldest", sa.Double),
    sa.column("newest", sa.Double),
)

COMPACTED_ANSWERS = sa.table(
    "compacted_answers",
    sa.column("bucket", sa.Text),
    sa.column("key", sa.Text),
    sa.column("compaction_id", sa.BigInteger),
)

REMOVED_ORIGINALS = sa.table(
    "removed_originals",
    sa.column("bucket", sa.Text),
    sa.column("key", sa.Text),
    sa.column("removed_at", sa.DateTime(timezone=True)),
)

PROMOTIONS = sa.table(
    "promotions",
    sa.column("id", sa.BigInteger),
    sa.column("model", sa.Text),
    sa.column("version", sa.Text),
    sa.column("previous", sa.Text),
    sa.column("kind", sa.Text),
    sa.column("forced", sa.Boolean),
    sa.column("who", sa.Text),
    sa.column("why", sa.Text),
    sa.column("figures", JSONB),
    sa.column("data_sha256", sa.Text),
    sa.column("newest_receipt", sa.BigInteger),
    sa.column("created_at", sa.DateTime(timezone=True)),
)


def _identity(fields: Mapping[str, Any]) -> ObjectIdentity:
    return ObjectIdentity(**{name: fields[name] for name in ObjectIdentity.__dataclass_fields__})


def receipt_of(row: sa.Row[Any]) -> Receipt:
    """Return the receipt that a row of the table holds."""
    fields = row._asdict()
    outcome = FilingOutcome(**{name: fields[name] for name in FilingOutcome.__dataclass_fields__})
    return Receipt(
        fields["id"], _identity(fields), outcome, fields["run_id"], fields["created_at"],
        fields["fleet"],
    )  # fmt: skip


def claim_of(row: sa.Row[Any]) -> Claim:
    """Return the claim that a row of the table holds."""
    fields = row._asdict()
    return Claim(
        fields["id"], _identity(fields), fields["name"], fields["attempts"], fields["created_at"]
    )
