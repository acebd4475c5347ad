"""A fleet whose readings were scored: scores, states and cases as the scoring job leaves them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from presagio.ingest.filing import Intake, file_object
from presagio.settings import Settings
from presagio.storage.alarm_entries import open_case
from presagio.storage.alarm_tables import SCORED_RECEIPTS
from presagio.storage.alarms import Alarms
from presagio.storage.database import open_database
from presagio.storage.unit_states import write_states


@contextmanager
def opened_engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = open_database(settings)
    yield engine
    engine.dispose()


@dataclass(frozen=True)
class Watched:
    """A fleet: its intake, and the ledger's database."""

    intake: Intake
    engine: sa.Engine

    @property
    def alarms(self) -> Alarms:
        return Alarms(self.engine, self.intake.ledger.fleet)

    def _file(self, name: str, body: bytes) -> int:
        key = f"{self.intake.prefixes.incoming}{name}"
        self.intake.store.write(self.intake.prefixes.bucket, key, body)
        receipt = file_object(self.intake, key)
        assert receipt is not None
        assert receipt.outcome.verdict == "processed"
        return receipt.id

    def file(self, name: str, rows: pl.DataFrame) -> int:
        """File readings that nobody scores."""
        return self._file(name, rows.write_csv().encode())

    def log(self, name: str, *rows: str) -> None:
        """File a log of events."""
        unit, time = self.intake.spec.needed_columns[:2]
        body = "\n".join([f"{unit},{time},kind", *rows])
        self._file(f"events/{name}", body.encode())

    def score(
        self, receipt: int, scores: pl.DataFrame | None = None, *, version: str = "1"
    ) -> None:
        """Note that a file was scored, with these scores."""
        keys = []
        if scores is not None:
            keys, out = (
                [f"scores/{self.intake.ledger.fleet or 'default'}-{receipt}.parquet"],
                io.BytesIO(),
            )
            scores.write_parquet(out)
            self.intake.store.write(self.intake.prefixes.curated_bucket, keys[0], out.getvalue())
        values = {
            "receipt_id": receipt, "fleet": self.intake.ledger.fleet, "model": "m", "rows": 1,
            "version": version, "units": 1, "keys": keys,
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(sa.insert(SCORED_RECEIPTS).values(values))

    def file_scored(self, name: str, rows: pl.DataFrame) -> int:
        """File readings that are scored."""
        receipt = self.file(name, rows)
        self.score(receipt)
        return receipt

    def alarm(
        self, unit: str, time: float, *, mode: str = "", diagnosis: dict[str, Any] | None = None
    ) -> int:
        """Open a case."""
        values = {
            "fleet": self.intake.ledger.fleet, "unit": unit, "mode": mode, "receipt_id": 1,
            "reading_time": time, "reading_at": str(time), "model": "m", "version": "1",
            "probability": 0.9, "diagnosis": diagnosis,
        }  # fmt: skip
        with self.engine.begin() as connection:
            number = open_case(connection, values)
        assert number is not None
        return number

    def state(self, unit: str, time: float, **changed: Any) -> None:
        """Put a unit into a state; well, where nothing else is given."""
        now = datetime.now(UTC)
        row = {
            "fleet": self.intake.ledger.fleet, "unit": unit, "state": "well", "since": now,
            "reading_time": time, "reading_at": str(time), "probability": 0.1, "score": -2.0,
            "label": False, "mode": None, "remaining_life": None, "remaining_low": None,
            "remaining_high": None, "receipt_id": 1, "model": "m", "version": "1",
            "diagnosis": None, "memory": {}, "updated_at": now, **changed,
        }  # fmt: skip
        with self.engine.begin() as connection:
            write_states(connection, [row])
