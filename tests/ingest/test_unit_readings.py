"""One unit's readings are read from the parts that hold them, and from no others."""

import math
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
import sqlalchemy as sa

from presagio.errors import DataError
from presagio.ingest.again import check_again
from presagio.ingest.filing import Intake
from presagio.ingest.unit_readings import unit_readings
from presagio.ingest.verify import verify
from presagio.storage.database import open_database
from presagio.storage.schema import UNIT_PARTS
from presagio.storage.unit_parts import ANY_UNIT
from tests.conftest import RunningServices
from tests.engines import (
    engine_rows,
    engines,
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
