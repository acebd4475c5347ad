"""One unit's readings are read from the parts that hold them, and from no others."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from presagio.errors import DataError
from presagio.inference.one_series import OneSeries
from presagio.ingest.again import check_again
from presagio.ingest.events import read_events
from presagio.ingest.filing import Intake
from presagio.ingest.unit_readings import life_so_far, unit_readings
from presagio.ingest.verify import verify
from presagio.machine.spec import parse_spec
from presagio.readings.instants import time_numbers
from presagio.storage.database import open_database
from presagio.storage.schema import UNIT_PARTS
from presagio.storage.unit_parts import ANY_UNIT
from presagio.training.datasets.curated import read_curated
from tests.conftest import RunningServices
from tests.engines import (
    engine_rows,
    engines,
    engines_with_events,
    engines_with_events_text,
)
from tests.filing import file_body

pytestmark = pytest.mark.integration


@pytest.fixture
def intake(new_intake: Callable[[], Intake]) -> Intake:
    return replace(new_intake(), spec=engines())


@pytest.fixture
def parts_read(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The curated objects that are read while the test runs."""
    found: list[str] = []
    read = intake.store.read

    def noting(bucket: str, key: str) -> object:
        found.append(key)
        return read(bucket, key)

    monkeypatch.setattr(intake.store, "read", noting)
    return found


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv().encode()


def _file_by_days(intake: Intake, rows: pl.DataFrame) -> None:
    """File readings of all units, ten cycles a file."""
    for (day,), part in rows.group_by(pl.col("cycle") // 10, maintain_order=True):
        file_body(intake, f"day-{day}.csv", _csv(part))


def test_only_the_newest_parts_are_read(intake: Intake, parts_read: list[str]) -> None:
    rows = engine_rows(3).filter(pl.col("cycle") < 60).sort("cycle")
    _file_by_days(intake, rows)
    parts_read.clear()
    newest = unit_readings(intake, "2", 15)
    assert newest["cycle"].to_list() == list(range(45, 60))
    assert newest["unit"].unique().to_list() == ["2"]
    expected = rows.filter(pl.col("unit") == "2").tail(15)
    assert newest["sensor_2"].to_list() == expected["sensor_2"].to_list()
    assert len(parts_read) == 2
    parts_read.clear()
    assert unit_readings(intake, "2", 5, newest=False)["cycle"].to_list() == [1, 2, 3, 4, 5]
    assert len(parts_read) == 1
    assert unit_readings(intake, "2", 99)["cycle"].to_list() == list(range(1, 60))
    assert unit_readings(intake, "2", 99, since=50.5)["cycle"].to_list() == list(range(51, 60))
    assert unit_readings(intake, "nobody", 5).is_empty()


def test_of_two_files_with_one_time_the_one_that_was_filed_first_counts(intake: Intake) -> None:
    rows = engine_rows(2).filter(pl.col("cycle") <= 20)
    first = file_body(intake, "first.csv", _csv(rows.filter(pl.col("cycle") <= 12)))
    assert "overlapping_units" not in first.outcome.notes["series"]
    later = rows.filter(pl.col("cycle") > 10, pl.col("unit") == "1")
    second = file_body(intake, "second.csv", _csv(later.with_columns(sensor_2=pl.lit(7.0))))
    assert second.outcome.notes["series"]["overlapping_units"] == 1
    assert "filed first counts" in second.outcome.warnings[-1]
    found = unit_readings(intake, "1", 10)
    assert found["cycle"].to_list() == list(range(11, 21))
    assert found["receipt_id"].to_list() == [first.id] * 2 + [second.id] * 8


def test_late_files_belong_where_their_times_are(intake: Intake) -> None:
    rows = engine_rows(1).filter(pl.col("cycle") <= 40).sort("cycle")
    for start in (31, 1, 21, 11):
        part = rows.filter(pl.col("cycle").is_between(start, start + 9))
        file_body(intake, f"from-{start}.csv", _csv(part))
    assert unit_readings(intake, "1", 25)["cycle"].to_list() == list(range(16, 41))


def test_what_is_checked_or_written_again_is_listed_anew(intake: Intake) -> None:
    receipt = file_body(intake, "a.csv", _csv(engine_rows(2).filter(pl.col("cycle") <= 5)))
    before = unit_readings(intake, "1", 9)
    (again,) = check_again(intake, [receipt.id])
    assert again.after is not None
    assert unit_readings(intake, "1", 9).equals(before)
    assert "overlapping_units" not in again.after.outcome.notes["series"]
    (key,) = receipt.outcome.curated_keys
    stored = intake.store.head(intake.prefixes.curated_bucket, key)
    assert stored is not None
    intake.store.delete_unchanged(intake.prefixes.curated_bucket, stored)
    with pytest.raises(DataError, match="is gone"):
        unit_readings(intake, "1", 9)
    assert verify(intake, repair=True).is_clean
    assert unit_readings(intake, "1", 9).equals(before)


def test_parts_of_before_they_were_listed_may_hold_any_unit(
    intake: Intake, services: RunningServices
) -> None:
    file_body(intake, "a.csv", _csv(engine_rows(2).filter(pl.col("cycle") <= 5)))
    here, engine = UNIT_PARTS.c.bucket == intake.prefixes.bucket, open_database(services.settings)
    any_unit = {"unit": ANY_UNIT, "oldest": -math.inf, "newest": math.inf}
    with engine.begin() as connection:
        connection.execute(sa.delete(UNIT_PARTS).where(here, UNIT_PARTS.c.unit == "2"))
        connection.execute(sa.update(UNIT_PARTS).where(here).values(any_unit))
    engine.dispose()
    assert unit_readings(intake, "2", 3)["cycle"].to_list() == [3, 4, 5]


def test_a_machine_without_units_is_refused(new_intake: Callable[[], Intake]) -> None:
    with pytest.raises(DataError, match=r"has no \[unit\] and \[time\]"):
        unit_readings(new_intake(), "1", 5)


def test_a_life_so_far_gives_what_a_training_would_make_of_its_last_reading(
    intake: Intake,
) -> None:
    spec = engines_with_events()
    intake = replace(intake, spec=spec)
    rows = engine_rows(30).sort("cycle")
    _file_by_days(intake, rows)
    last = rows.group_by("unit", maintain_order=True).agg(pl.col("cycle").max())
    log = "".join(
        f"{unit},{cycle - 50.5},repair\n{unit},{cycle - 50},error\n{unit},{cycle - 45.5},error\n"
        f"{unit},{cycle - 2.5},error\n{unit},{cycle},failure\n"
        for unit, cycle in last.iter_rows()
    )
    file_body(intake, "events/log.csv", f"unit,cycle,kind\n{log}".encode())
    dataset, logged = read_curated(intake), read_events(intake)
    assert dataset.series is not None
    # Known so far is what came before the failures.
    so_far = replace(logged, rows=logged.rows.filter(~pl.col("is_failure")))
    for unit, cycle in last.head(3).iter_rows():
        known = life_so_far(intake, unit, so_far)
        assert known["cycle"].to_list()[0] == cycle - 50
        values = known.select(pl.col(n).cast(pl.Float64) for n in spec.input_names).to_numpy()
        made = OneSeries(spec).last(values, time_numbers(known["cycle"]))
        row = (dataset.series.units == unit) & (dataset.series.times == cycle)
        np.testing.assert_allclose(made, dataset.inputs[row][0], rtol=0, atol=1e-9)
        named = dict(zip(spec.model_inputs, made, strict=True))
        assert (named["since_repair"], named["errors_count_5"]) == (50.5, 1.0)


def test_a_life_by_timestamps_begins_after_the_last_repair(intake: Intake) -> None:
    text = engines_with_events_text().replace('kind = "counter"', "").replace("age = true", "")
    text = text.replace("within = 30", 'within = "30h"').replace("most = 125", 'most = "125h"')
    text = text.replace('from_events = "since_repair"', 'from_events = "since_repair"\nunit = "h"')
    intake = replace(intake, spec=parse_spec(text.encode(), "engines.toml"))
    first = datetime(2026, 1, 1, tzinfo=UTC)
    rows = engine_rows(1).head(20).with_columns(
        cycle=pl.Series([(first + timedelta(hours=i)).isoformat() for i in range(20)])
    )  # fmt: skip
    file_body(intake, "a.csv", _csv(rows))
    assert len(life_so_far(intake, "1", read_events(intake))) == 20
    log = b"unit,cycle,kind\n1,2026-01-01T12:30:00Z,repair\n1,2026-01-01T14:10:00Z,error\n"
    file_body(intake, "events/log.csv", log)
    known = life_so_far(intake, "1", read_events(intake))
    assert known["since_repair"].to_list() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert known["errors"].to_list() == [0, 0, 1, 0, 0, 0, 0]
