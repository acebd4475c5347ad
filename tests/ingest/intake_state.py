"""Everything that can be seen of an intake from outside, so that two can be compared."""

import io
import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from presagio.ingest.filing import Intake
from tests.readings import HEADER

KEY = "incoming/line 1/readings.csv"
GOOD = [b"L,300,310,1500,40,%d,day" % wear for wear in range(8)]
BAD = [b"M,301,311,1400,nan,20,day", b"H,302,312,1300,60,900,night"]
BODY = b"\n".join([HEADER + b",shift", *GOOD, *BAD]) + b"\n"


@dataclass(frozen=True)
class State:
    """Objects with their bytes, curated rows without the receipt's number, receipts."""

    objects: dict[str, bytes]
    curated: list[tuple[Any, ...]]
    receipts: list[tuple[Any, ...]]


def read(intake: Intake, key: str) -> bytes:
    found = intake.store.read(intake.prefixes.bucket, key)
    assert found is not None, key
    return found[0]


def drop(intake: Intake, key: str = KEY, body: bytes = BODY) -> str:
    intake.store.write(intake.prefixes.bucket, key, body)
    return key


def curated(intake: Intake) -> pl.DataFrame:
    """The curated rows, each of which must name the receipt that lists its file."""
    parts = []
    for receipt in reversed(intake.ledger.receipts(bucket=intake.prefixes.bucket, limit=None)):
        for key in receipt.outcome.curated_keys:
            part = pl.read_parquet(io.BytesIO(read(intake, key)))
            assert set(part["receipt_id"]) == {receipt.id}
            assert re.fullmatch(
                rf"curated/day=[0-9-]{{10}}/receipt-{receipt.id}-part-\d+\.parquet", key
            )
            parts.append(part)
    return pl.concat(parts) if parts else pl.DataFrame()


def state(intake: Intake) -> State:
    bucket = intake.prefixes.bucket
    objects = {stored.key: read(intake, stored.key) for stored in intake.store.list(bucket)}
    rows = curated(intake)
    receipts = intake.ledger.receipts(bucket=bucket, limit=None)
    # No object but those that a receipt lists.
    listed = {key for receipt in receipts for key in receipt.outcome.digests}
    waiting = {key for key in objects if key.startswith("incoming/")}
    assert set(objects) - waiting == listed
    return State(
        {key: body for key, body in objects.items() if not key.startswith("curated/")},
        sorted(rows.drop("receipt_id", strict=False).rows(), key=str),
        sorted(
            (
                r.identity.key, r.identity.sha256, r.outcome.verdict, r.outcome.rows_in,
                r.outcome.rows_processed, r.outcome.rows_quarantined, r.outcome.processed_key,
                r.outcome.quarantine_key, r.outcome.archive_key, len(r.outcome.curated_keys),
            )
            for r in receipts
        ),
    )  # fmt: skip
