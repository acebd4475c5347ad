"""A fleet of many units whose readings were filed and scored, laid down at once.

Parts, spans and scores are as intake and scoring leave them: a file holds some readings of every
unit. The objects are laid below the object store's folder, since filing is measured elsewhere.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from bench.report import ROOT
from presagio.ingest.filing import Intake, file_object
from presagio.ingest.outputs import RECEIPT, UNIT_PART_ROWS, SpansOfParts, curated_schema, digest
from presagio.settings import SCORES, Settings
from presagio.storage.alarm_entries import open_case
from presagio.storage.alarm_tables import RECEIPTS_TO_SCORE, SCORED_RECEIPTS
from presagio.storage.alarms import Alarms
from presagio.storage.unit_parts import Filed, UnitSpans, replace_spans
from presagio.storage.unit_states import write_states

SPEC = ROOT / "tests" / "engines.toml"
_FOLDER = "day=2026-01-01"
# Readings of each unit in a file.
_IN_A_FILE = 10
# One unit in so many has an open alarm, is watched, or had an alarm before.
_ALARM, _WATCH, _PAST = 50, 12, 2
_CLAIMS = (
    "INSERT INTO claims (id, bucket, key, version, sha256, size_bytes, name, fleet, filed) "
    "OVERRIDING SYSTEM VALUE VALUES (:id, :bucket, :key, '1', :sha256, 1, :name, '', true)"
)
_RECEIPTS = (
    "INSERT INTO receipts (id, bucket, key, version, sha256, size_bytes, fleet, verdict, rows_in, "
    "rows_processed, rows_quarantined, reasons, archive_key, curated_keys, digests, created_at) "
    "VALUES (:id, :bucket, :key, '1', :sha256, 1, '', 'processed', :rows, :rows, 0, '{}', '', "
    "CAST(:keys AS jsonb), CAST(:digests AS jsonb), :at)"
)
_NEXT_CLAIM = "SELECT setval(pg_get_serial_sequence('claims', 'id'), max(id)) FROM claims"
_DIAGNOSIS = {
    "mode": None, "clearing_change": None, "limits": [],
    "contributions": {"sensor_11": 0.31, "sensor_4": 0.22, "sensor_9": 0.05},
    "changes": [
        {"feature": "sensor_11", "by": 1.5, "unit": "", "over": 30.0, "over_unit": "cycle"}
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Plant:
    """How large it is.

    Attributes
    ----------
    units, files
        Of units and of files; each file has ten readings of every unit.
    """

    units: int
    files: int

    @property
    def readings(self) -> int:
        """All readings."""
        return self.units * self.files * _IN_A_FILE

    @property
    def names(self) -> list[str]:
        """The names of the units."""
        return [f"engine-{number:05}" for number in range(1, self.units + 1)]


@dataclass(frozen=True)
class _Laid:
    """A file whose rows lie in the store."""

    keys: dict[str, str]
    spans: UnitSpans
    scores: str
    rows: int


def _readings(intake: Intake, plant: Plant) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number and the rows of one file after another."""
    rng, schema = np.random.default_rng(0), curated_schema(intake.spec)
    rows = plant.units * _IN_A_FILE
    names = np.repeat(np.array(plant.names), _IN_A_FILE)
    features = intake.spec.feature_names
    for number in range(1, plant.files + 1):
        cycles = np.tile(np.arange(1, _IN_A_FILE + 1) + (number - 1) * _IN_A_FILE, plant.units)
        values = np.round(100.0 + rng.normal(0.0, 2.0, (len(features), rows)), 3)
        known = {"unit": names, "cycle": cycles, **dict(zip(features, values, strict=True))}
        frame = pl.DataFrame(known).with_columns(pl.lit(number, pl.Int64).alias(RECEIPT))
        yield (
            number,
            frame.select(
                pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)
                for name, kind in schema.items()
            ),
        )


def _scores(rows: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return scores of readings, with the columns that the scoring job writes."""
    risk = rng.beta(1.0, 20.0, len(rows))
    life = 125.0 * (1.0 - risk)
    return rows.select("unit", "cycle", RECEIPT).with_columns(
        score=pl.Series(np.log(risk + 1e-9)), probability=pl.Series(risk),
        label=pl.Series(risk >= 0.2), remaining_life=pl.Series(life),
        remaining_low=pl.Series(0.8 * life), remaining_high=pl.Series(1.2 * life),
        mode=pl.lit(None, pl.String), diagnosis=pl.lit(None, pl.String),
        model=pl.lit("svm_engines"), version=pl.lit("1"),
    )  # fmt: skip


def _lay(intake: Intake, settings: Settings, plant: Plant, folder: Path) -> Iterator[_Laid]:
    rng, place = np.random.default_rng(1), f"{settings.place(SCORES)}date=2026-01-01/"
    curated = f"{intake.prefixes.curated}{_FOLDER}/"
    for prefix in (curated, place):
        (folder / prefix).mkdir(parents=True)
    for number, rows in _readings(intake, plant):
        spans, keys = SpansOfParts(intake.spec), dict[str, str]()
        for part, some in enumerate(spans.in_order(rows).iter_slices(UNIT_PART_ROWS)):
            key = f"{curated}receipt-{number}-part-{part}.parquet"
            some.write_parquet(folder / key)
            spans.add(some, part)
            keys[key] = digest(folder / key)
        scores = f"{place}receipt-{number}-part-0.parquet"
        _scores(rows, rng).write_parquet(folder / scores, compression="zstd")
        yield _Laid(keys, spans.found, scores, len(rows))


def _record(
    connection: sa.Connection, settings: Settings, number: int, laid: _Laid, at: datetime
) -> None:
    """Write the receipt of a file, where its units are, and that it was scored."""
    fields = {
        "id": number, "bucket": settings.s3_bucket, "key": f"incoming/round-{number}.csv",
        "sha256": next(iter(laid.keys.values())), "name": f"round-{number}.csv",
        "rows": laid.rows, "keys": json.dumps([*laid.keys]), "digests": json.dumps(laid.keys),
        "at": at,
    }  # fmt: skip
    for statement in (_CLAIMS, _RECEIPTS):
        connection.execute(sa.text(statement), fields)
    replace_spans(connection, Filed(number, settings.s3_bucket, ""), laid.spans)
    scored = {
        "receipt_id": number, "fleet": "", "model": "svm_engines", "version": "1",
        "rows": laid.rows, "units": len({*laid.spans.units}), "keys": [laid.scores],
    }  # fmt: skip
    connection.execute(sa.insert(SCORED_RECEIPTS).values(scored))


def _state(place: int, unit: str, plant: Plant) -> dict[str, Any]:
    state = "alarm" if place % _ALARM == 0 else "watch" if place % _WATCH == 0 else "well"
    risk = {"alarm": 0.9, "watch": 0.5, "well": 0.02}[state] + place / plant.units / 20
    now, last = datetime.now(UTC), float(plant.files * _IN_A_FILE)
    return {
        "fleet": "", "unit": unit, "state": state, "since": now, "reading_time": last,
        "reading_at": f"{last:g}", "probability": risk, "score": 0.0, "label": state == "alarm",
        "mode": None, "remaining_life": 125.0 * (1.0 - risk), "remaining_low": 20.0,
        "remaining_high": 140.0, "receipt_id": plant.files, "model": "svm_engines",
        "version": "1", "diagnosis": None if state == "well" else _DIAGNOSIS, "memory": {},
        "updated_at": now,
    }  # fmt: skip


def _open(engine: sa.Engine, state: dict[str, Any]) -> int:
    names = ("fleet", "unit", "receipt_id", "reading_time", "reading_at", "model", "version")
    case = {name: state[name] for name in names} | {"mode": "", "diagnosis": _DIAGNOSIS}
    with engine.begin() as connection:
        number = open_case(connection, case | {"probability": state["probability"]})
    assert number is not None
    return number


def _add_cases(engine: sa.Engine, plant: Plant) -> None:
    """Write the state of each unit, with cases that are open and cases of before."""
    states = [_state(place, unit, plant) for place, unit in enumerate(plant.names)]
    alarms = Alarms(engine)
    for state in states[::_PAST]:
        alarms.close(_open(engine, state), "false", "the night shift", "nothing was found")
    for state in states:
        if state["state"] == "alarm":
            _open(engine, state)
    with engine.begin() as connection:
        write_states(connection, states)


def _file_events(intake: Intake, plant: Plant) -> None:
    """File a log with a repair of every second unit."""
    rows = [f"{unit},{5 + place % 5}.5,repair" for place, unit in enumerate(plant.names[::2])]
    key = f"{intake.prefixes.incoming}events/log.csv"
    body = "\n".join(["unit,cycle,kind", *rows]).encode()
    intake.store.write(intake.prefixes.bucket, key, body)
    receipt = file_object(intake, key)
    assert receipt is not None
    assert receipt.outcome.verdict == "processed", receipt.outcome.message


def lay_down(
    intake: Intake, engine: sa.Engine, settings: Settings, plant: Plant, objects: Path
) -> None:
    """Fill an empty ledger, and the folder of the object store; a file came each hour."""
    folder, now = objects / settings.data_bucket, datetime.now(UTC)
    with engine.begin() as connection:
        for number, laid in enumerate(_lay(intake, settings, plant, folder), start=1):
            _record(connection, settings, number, laid, now - timedelta(hours=plant.files - number))
        connection.execute(sa.text(_NEXT_CLAIM))
    _file_events(intake, plant)
    _add_cases(engine, plant)
    with engine.begin() as connection:
        connection.execute(sa.delete(RECEIPTS_TO_SCORE))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As autovacuum does in the minutes after.
        connection.execute(sa.text("VACUUM (ANALYZE)"))
