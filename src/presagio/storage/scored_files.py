"""Where the scores of files lie."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from presagio.storage.alarm_tables import SCORED_RECEIPTS
from presagio.storage.database import translated


@dataclass(frozen=True)
class ScoredFile:
    """Where the scores of one file lie, and what has scored it when."""

    receipt_id: int
    version: str
    keys: Sequence[str]
    scored_at: datetime


def scored_files(engine: sa.Engine, receipts: Collection[int]) -> list[ScoredFile]:
    """Return where the scores of files lie, of those among some that were scored; newest first."""
    here = SCORED_RECEIPTS.c
    query = (
        sa.select(here.receipt_id, here.version, here["keys"], here.scored_at)
        .where(here.receipt_id == sa.any_(sa.literal([*receipts], ARRAY(sa.BigInteger))))
        .order_by(here.receipt_id.desc())
    )
    with translated(), engine.connect() as connection:
        return [ScoredFile(*row) for row in connection.execute(query)]
