"""The ledgers' tables, as the migrations leave them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

_IDENTITY = ("bucket", "key", "version", "sha256")


def _identity() -> list[sa.ColumnClause[Any]]:
    texts: list[sa.ColumnClause[Any]] = [sa.column(name, sa.Text) for name in _IDENTITY]
    return [sa.column("id", sa.BigInteger), *texts, sa.column("size_bytes", sa.BigInteger)]


CLAIMS = sa.table(
    "claims",
    *_identity(),
    sa.column("name", sa.Text),
    sa.column("attempts", sa.Integer),
    sa.column("created_at", sa.DateTime(timezone=True)),
)

RECEIPTS = sa.table(
    "receipts",
    *_identity(),
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

RELEASES = sa.table(
    "releases",
    sa.column("receipt_id", sa.BigInteger),
    sa.column("who", sa.Text),
    sa.column("why", sa.Text),
    sa.column("created_at", sa.DateTime(timezone=True)),
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
