"""Receipts as a plant has them after years, made inside PostgreSQL: a million in a minute or so."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from presagio.storage.ledger import Ledger

BUCKET = "csv-data"
FILES_OF_A_RUN = 10_000
_BLOCK = 500_000

_TABLES = ("claims", "receipts", "unit_parts")

# Of a thousand files some have the bytes of an earlier one, 2 are outcomes that were sent back and
# one is refused whole; of those, four of five have been replaced by a later file of their name.
_KINDS = """
SELECT i, verdict,
       'incoming/'
       || CASE WHEN i % 1000 IN (100, 101) THEN 'feedback/' ELSE '' END
       || 'line-' || name % 20 || '/' || name || '.csv' AS key,
       CASE verdict WHEN 'duplicate' THEN i - 1000 + :duplicates END AS duplicate_of,
       encode(sha256((CASE verdict WHEN 'duplicate' THEN i - 1000 + :duplicates ELSE i END)
                     ::text::bytea), 'hex') AS sha256
FROM (
    SELECT i, CASE WHEN i % 1000 = 501 AND i % 5000 <> 501 THEN i - 1 ELSE i END AS name,
        CASE WHEN i % 1000 < :duplicates AND i >= :alone THEN 'duplicate'
             WHEN i % 1000 = 500 THEN 'quarantined' ELSE 'processed' END AS verdict
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i
) AS named
"""
_CLAIMS = f"""
INSERT INTO claims (id, bucket, key, version, sha256, size_bytes, name, filed)
SELECT i, '{BUCKET}', key, substr(sha256, 1, 32), sha256, 60000, i || '.csv', true
FROM ({_KINDS}) AS made
"""  # noqa: S608 - constants
_RECEIPTS = f"""
INSERT INTO receipts (
    id, bucket, key, version, sha256, size_bytes, verdict, rows_in, rows_processed,
    rows_quarantined, reasons, processed_key, quarantine_key, archive_key, curated_keys, digests,
    notes, warnings, message, duplicate_of, run_id, created_at
)
SELECT i, '{BUCKET}', key, substr(sha256, 1, 32), sha256, 60000, verdict,
    rows, CASE verdict WHEN 'processed' THEN rows - bad ELSE 0 END,
    CASE verdict WHEN 'processed' THEN bad ELSE rows END,
    CASE WHEN verdict = 'quarantined' THEN '{{"out_of_range": 100}}'::jsonb
         WHEN bad > 0 THEN jsonb_build_object('missing', bad - 1, 'out_of_range', 1)
         ELSE '{{}}' END,
    CASE verdict WHEN 'processed' THEN 'processed/' || i || '.csv' END,
    CASE WHEN verdict = 'quarantined' OR bad > 0 THEN 'quarantine/' || i || '.csv' END,
    'archive/' || sha256,
    CASE verdict WHEN 'processed' THEN jsonb_build_array(curated) ELSE '[]' END,
    CASE verdict WHEN 'processed' THEN jsonb_build_object(
        'processed/' || i || '.csv', sha256, curated, sha256) ELSE '{{}}' END,
    jsonb_build_object(
        'encoding', 'utf-8', 'delimiter', ',', 'decimal', '.', 'line_end', 'LF',
        'spec_sha256', encode(sha256('spec'), 'hex'),
        'columns', jsonb_build_array('Type', 'Air temperature [K]', 'Process temperature [K]',
            'Rotational speed [rpm]', 'Torque [Nm]', 'Tool wear [min]'))
    || CASE verdict WHEN 'quarantined' THEN '{{"refused": "too_many_bad_rows"}}'::jsonb
       ELSE '{{}}' END,
    '[]', CASE verdict WHEN 'quarantined' THEN '100 of 100 rows are bad' END,
    duplicate_of, 'run-' || i / {FILES_OF_A_RUN},
    timestamptz '2020-01-01' + i * interval '15 seconds'
FROM (
    SELECT made.*, CASE verdict WHEN 'duplicate' THEN 0 ELSE 100 END AS rows,
        CASE WHEN verdict = 'processed' AND i % 3 = 0 THEN 2 ELSE 0 END AS bad,
        'curated/day=2026-01-01/' || i || '-' || substr(sha256, 1, 12) || '.parquet' AS curated
    FROM ({_KINDS}) AS made
) AS filed
"""  # noqa: S608 - constants
_UNIT_PARTS = """
INSERT INTO unit_parts (receipt_id, part, unit, fleet, bucket, oldest, newest)
SELECT id, 0, 'unit-' || id % 20, fleet, bucket, id * 15.0, id * 15.0 + 3600
FROM receipts WHERE verdict = 'processed' AND id BETWEEN :first AND :last
"""
_OPEN = f"""
INSERT INTO claims (bucket, key, version, sha256, size_bytes, name)
SELECT '{BUCKET}', 'incoming/open/' || i || '.csv', 'e', md5(i::text), 1, 'open/' || i || '.csv'
FROM generate_series(1, 20) AS i
"""  # noqa: S608 - constants


@contextmanager
def _bare(engine: sa.Engine) -> Iterator[None]:
    """Take indexes, keys and triggers from the tables, and put them back: all rows at once."""
    keys = (
        "SELECT t.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN "
        "pg_class t ON t.oid = k.conrelid WHERE t.relname = ANY(:tables) "
        "AND k.contype IN ('f', 'u') ORDER BY k.contype DESC"
    )
    indexes = (
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN "
        "pg_class t ON t.oid = i.indrelid WHERE t.relname = ANY(:tables) "
        "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)"
    )
    named = {"tables": [*_TABLES]}
    with engine.begin() as connection:
        found_keys = connection.execute(sa.text(keys), named).all()
        for table, name, _ in reversed(found_keys):
            connection.execute(sa.text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        found_indexes = connection.execute(sa.text(indexes), named).all()
        for name, _ in found_indexes:
            connection.execute(sa.text(f"DROP INDEX {name}"))
        connection.execute(sa.text("ALTER TABLE receipts DISABLE TRIGGER USER"))
    yield
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL maintenance_work_mem = '1GB'"))
        for _, definition in found_indexes:
            connection.execute(sa.text(definition))
        for table, name, definition in found_keys:
            connection.execute(sa.text(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"))
        connection.execute(sa.text("ALTER TABLE receipts ENABLE TRIGGER USER"))
    Ledger(engine).recount()


def _insert(engine: sa.Engine, first: int, last: int, duplicates: int) -> None:
    for start in range(first, last + 1, _BLOCK):
        block = {"first": start, "last": min(start + _BLOCK - 1, last)}
        with engine.begin() as connection:
            # The first thousand are nobody's duplicates: what came before may have gaps.
            how = {"duplicates": duplicates, "alone": first + 1000}
            for statement in (_CLAIMS, _RECEIPTS):
                connection.execute(sa.text(statement), block | how)
            connection.execute(sa.text(_UNIT_PARTS), block)


def make_receipts(
    engine: sa.Engine, first: int, last: int, *, duplicates: int = 10, at_once: bool = False
) -> None:
    """Add receipts with the numbers from ``first`` to ``last``, with their claims.

    They come through the ledger's own triggers. Twenty claims are open besides.

    Parameters
    ----------
    engine
        The database.
    first, last
        The numbers; ``first`` is 1 in an empty ledger, and 1 more than a number of thousands.
    duplicates
        Of a thousand files so many have the bytes of an earlier one, 500 at most.
    at_once
        Whether indexes, keys and sums are made after the rows: a third of the time for millions.
    """
    if at_once:
        with _bare(engine):
            _insert(engine, first, last, duplicates)
    else:
        _insert(engine, first, last, duplicates)
    with engine.begin() as connection:
        connection.execute(
            sa.text("SELECT setval(pg_get_serial_sequence('claims', 'id'), max(id)) FROM claims")
        )
        if first == 1:
            connection.execute(sa.text(_OPEN))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As autovacuum does in the minutes after.
        connection.execute(sa.text("VACUUM (ANALYZE) claims, receipts, receipt_totals, unit_parts"))
