"""A fleet of engines with a champion, each test with a fleet and buckets of its own."""

import io
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import polars as pl

from presagio.ingest.filing import Intake
from presagio.jobs.score_arrivals import ArrivalSummary, score_arrivals
from presagio.registry.reader import open_reader
from presagio.settings import SCORES, Settings
from presagio.storage.alarm_cases import AlarmCase
from presagio.storage.ledger import Ledger
from presagio.storage.objects import ObjectStore, open_store
from presagio.storage.receipt import Receipt
from tests.engines import engine_rows, engines
from tests.filing import file_body

# One engine's whole life: well at first, failing at its end.
ENGINE = engine_rows(1, seed=7)
LIFE = len(ENGINE)


def life(begin: int, end: int, *, unit: str = "E1") -> pl.DataFrame:
    """Return readings of an engine by their places in its life; negative ones from its end."""
    return ENGINE[begin % LIFE : (end - 1) % LIFE + 1].with_columns(pl.lit(unit).alias("unit"))


@dataclass(frozen=True)
class Arriving:
    """A fleet whose files are filed and scored."""

    settings: Settings
    intake: Intake

    def file(self, name: str, *rows: pl.DataFrame) -> Receipt:
        """File readings."""
        body = pl.concat(rows).write_csv().encode()
        return self._file(name, body)

    def log(self, name: str, *events: tuple[str, float, str]) -> Receipt:
        """File events: unit, cycle, kind."""
        frame = pl.DataFrame(events, schema=["unit", "cycle", "kind"], orient="row")
        return self._file(f"events/{name}", frame.write_csv().encode())

    def coded_log(self, name: str, code: str) -> Receipt:
        """File an error of the first engine with a code."""
        return self._file(f"events/{name}", f"unit,cycle,kind,code\nE1,3,error,{code}\n".encode())

    def _file(self, name: str, body: bytes) -> Receipt:
        place = self.intake.prefixes.incoming.removeprefix("incoming/")
        return file_body(self.intake, f"{place}{name}", body)

    def score(self, **how: Any) -> ArrivalSummary:
        """Score what waits."""
        return score_arrivals(self.settings, self.intake, open_reader(self.settings), **how)

    def states(self) -> dict[str, str]:
        """Return the state of each unit as people see it, silent or not."""
        found = self.intake.ledger.unit_states().page(limit=1000)
        return {one.unit: one.shown(None) for one in found}

    def cases(self) -> list[AlarmCase]:
        """Return all cases, the oldest first."""
        return self.intake.ledger.alarms().cases(limit=1000)[::-1]

    def scores(self) -> pl.DataFrame:
        """Return all that lies among the scores."""
        store, bucket = self.intake.store, self.settings.data_bucket
        found = []
        for stored in store.list(bucket, self.settings.place(SCORES)):
            read = store.read(bucket, stored.key)
            assert read is not None
            found.append(pl.read_parquet(io.BytesIO(read[0])))
        return pl.concat(found, how="diagonal") if found else pl.DataFrame()


def new_fleet(settings: Settings, ledger: Ledger, *, model_name: str) -> Arriving:
    """Make a fleet of its own; it shares the registered model."""
    name, store = f"f{uuid4().hex[:8]}", _store(settings)
    changes = {"s3_bucket": name, "data_bucket": name, "model_trial_s": 200.0}
    own = settings.model_copy(update=changes).of_fleet(name)
    own = own.model_copy(update={"model_name": model_name})
    store.create_bucket(name)
    # A model is tried once for all of them: that takes seconds.
    settings.model_cache.mkdir(parents=True, exist_ok=True)
    own.model_cache.parent.mkdir(parents=True, exist_ok=True)
    own.model_cache.symlink_to(settings.model_cache)
    return Arriving(own, Intake(store, ledger.of_fleet(name), engines(), own.prefixes))


def _store(settings: Settings) -> ObjectStore:
    return open_store(settings)
