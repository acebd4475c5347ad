"""A unit's past as a page shows it: from few objects, and what is left out is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from presagio.errors import DataError
from presagio.ingest.again import check_again
from presagio.ingest.compaction import Rules, compact
from presagio.ingest.filing import Intake
from presagio.ingest.unit_span import Span, readings_of_span
from presagio.jobs.known_events import KnownEvents
from presagio.jobs.unit_history import unit_history
from presagio.jobs.unit_scores import unit_scores
from presagio.machine.spec import MachineSpec
from presagio.storage.kept_frames import KeptFrames
from tests.conftest import RunningServices
from tests.engines import engine_rows, engines
from tests.filing import file_body
from tests.watched import Watched, opened_engine

pytestmark = pytest.mark.integration

_HOSTILE = "</script><b>\"'\u202e/../\t%s{0}"


@pytest.fixture
def intake(new_intake: Callable[[], Intake]) -> Intake:
    return replace(new_intake(), spec=engines())


@pytest.fixture
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    with opened_engine(services.settings) as engine:
        yield engine


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv().encode()


def _file_by_days(intake: Intake, rows: pl.DataFrame) -> list[int]:
    parts = rows.group_by(pl.col("cycle") // 10, maintain_order=True)
    return [file_body(intake, f"day-{day}.csv", _csv(part)).id for (day,), part in parts]


def _cycles(intake: Intake, unit: str, span: Span) -> list[float]:
    return readings_of_span(intake, unit, ["sensor_2"], span).rows["cycle"].to_list()


def test_the_newest_readings_of_a_span_come_from_few_parts(intake: Intake) -> None:
    rows = engine_rows(3).filter(pl.col("cycle") < 60).sort("cycle")
    receipts = _file_by_days(intake, rows)
    found = readings_of_span(intake, "2", ["sensor_2"], Span(count=15))
    assert found.rows["cycle"].to_list() == found.times.tolist() == list(range(45, 60))
    assert found.rows.columns == ["receipt_id", "unit", "cycle", "sensor_2"]
    assert set(found.rows["receipt_id"]) == set(receipts[-2:])
    assert (found.has_older, found.is_cut) == (True, False)
    every = readings_of_span(intake, "2", ["sensor_2"], Span(count=59))
    assert (len(every.rows), every.has_older, every.is_cut) == (59, False, False)
    assert _cycles(intake, "2", Span(count=9, after=11.0, until=14.0)) == [12, 13, 14]
    assert _cycles(intake, "2", Span(count=2, until=30.5)) == [29, 30]
    # What would need more parts is left out, and so is what these parts do not hold whole.
    cut = readings_of_span(intake, "2", ["sensor_2"], Span(count=59, parts=2))
    assert cut.rows["cycle"].to_list() == list(range(40, 60))
    assert (cut.has_older, cut.is_cut) == (True, True)
    none = readings_of_span(intake, "nobody", ["sensor_2"], Span())
    assert (len(none.rows), none.has_older, none.is_cut) == (0, False, False)


def test_of_two_files_with_one_time_the_one_that_was_filed_first_counts(intake: Intake) -> None:
    rows = engine_rows(1).filter(pl.col("cycle") <= 20)
    first = file_body(intake, "first.csv", _csv(rows.filter(pl.col("cycle") <= 12)))
    later = rows.filter(pl.col("cycle") > 10).with_columns(sensor_2=pl.lit(7.0))
    second = file_body(intake, "second.csv", _csv(later))
    found = readings_of_span(intake, "1", ["sensor_2"], Span(count=10))
    assert found.rows["receipt_id"].to_list() == [first.id] * 2 + [second.id] * 8


def test_charts_have_the_files_that_their_readings_came_in(
    intake: Intake, engine: sa.Engine
) -> None:
    rows = engine_rows(2).filter(pl.col("cycle") < 60).sort("cycle")
    receipts = _file_by_days(intake, rows)
    found = unit_history(intake, engine, "1", Span(count=25))
    assert [receipt.id for receipt in found.files] == receipts[:2:-1]
    assert (found.files_in_all, found.count, found.first, found.last) == (3, 25, 35.0, 59.0)
    assert found.older is not None
    assert 34 < found.older < 35
    (sensor,) = [chart for chart in found.charts.charts if chart.name == "sensor_2"]
    expected = rows.filter(pl.col("unit") == "1").tail(25)["sensor_2"].to_numpy()
    np.testing.assert_allclose(sensor.high, expected)
    assert sensor.newest == expected[-1]
    assert (found.scores_drawn, found.scores.unscored) == (None, 25)
    few = unit_history(intake, engine, "1", Span(count=25), points=5)
    assert few.charts.drawn.bucket == pytest.approx(24 / 5)
    (sensor,) = [chart for chart in few.charts.charts if chart.name == "sensor_2"]
    assert (sensor.low.min(), sensor.high.max()) == (expected.min(), expected.max())


def test_readings_are_the_same_once_files_are_put_together(intake: Intake) -> None:
    rows = engine_rows(3).filter(pl.col("cycle") < 60).sort("cycle")
    _file_by_days(intake, rows)
    before = readings_of_span(intake, "2", ["sensor_2"], Span())
    compact(intake, Rules(datetime.now(UTC) + timedelta(hours=1), 2, 1 << 20))
    after = readings_of_span(intake, "2", ["sensor_2"], Span())
    assert after.rows.equals(before.rows)


def test_what_was_read_lately_is_not_read_again_unless_it_was_checked_anew(intake: Intake) -> None:
    rows, kept = engine_rows(1).head(20), KeptFrames(1 << 20)
    receipt = file_body(intake, "a.csv", _csv(rows))

    def read() -> pl.DataFrame:
        return readings_of_span(intake, "1", ["sensor_2"], Span(), kept).rows

    before = read()
    intake.store.remove(intake.prefixes.curated_bucket, receipt.outcome.curated_keys)
    assert read().equals(before)
    # The same receipt and key, and other rows.
    spec = intake.spec.model_dump()
    spec["features"][0]["range"] = (0.0, sorted(rows["sensor_2"])[-2])
    narrower = replace(intake, spec=MachineSpec.model_validate(spec | {"windows": None}))
    (again,) = check_again(narrower, [receipt.id])
    assert again.after is not None
    assert again.after.outcome.curated_keys == receipt.outcome.curated_keys
    assert len(read()) == 19


def test_a_hostile_name_is_only_a_name(intake: Intake, engine: sa.Engine) -> None:
    rows = engine_rows(1).head(3).with_columns(unit=pl.lit(_HOSTILE))
    file_body(intake, "a.csv", _csv(rows))
    assert unit_history(intake, engine, _HOSTILE).count == 3
    for name in ("", "%", "' OR 1=1 --", "x" * 10_000):
        assert unit_history(intake, engine, name).count == 0


def test_a_machine_without_units_is_refused(
    new_intake: Callable[[], Intake], engine: sa.Engine
) -> None:
    with pytest.raises(DataError, match=r"has no \[unit\] and \[time\]"):
        unit_history(new_intake(), engine, "1")


def test_a_log_is_read_once_and_a_new_one_is_known_at_once(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log(*rows: str) -> bytes:
        return ("unit,cycle,kind,mode\n" + "\n".join(rows)).encode()

    file_body(intake, "events/a.csv", log("1,10,failure,rotor", "1,12,repair,", "2,5,error,E7"))
    events, read = KnownEvents(intake), list[str]()
    assert [(e.kind, e.mode, e.time) for e in events.of_unit("1")] == [
        ("repair", None, 12.0), ("failure", "rotor", 10.0),
    ]  # fmt: skip
    stored = intake.store.read

    def noting(bucket: str, key: str) -> object:
        read.append(key)
        return stored(bucket, key)

    monkeypatch.setattr(intake.store, "read", noting)
    assert [e.kind for e in events.of_unit("2")] == ["error"]
    assert not read
    file_body(intake, "events/b.csv", log("2,9,failure,"))
    read.clear()
    assert [e.kind for e in events.of_unit("2")] == ["failure", "error"]
    assert len(read) == 1
    assert KnownEvents(replace(intake, spec=engines())).of_unit("nobody") == []


def test_scores_are_those_that_files_got_when_they_arrived(
    intake: Intake, engine: sa.Engine
) -> None:
    fleet = Watched(intake, engine)
    rows = engine_rows(2).filter(pl.col("cycle") < 40).sort("cycle")
    receipts = _file_by_days(intake, rows)
    scored = rows.select("unit", pl.col("cycle").cast(pl.Float64)).with_columns(
        probability=pl.col("cycle") / 100, label=pl.col("cycle") >= 35, score=pl.lit(0.0)
    )
    days = [scored.filter(pl.col("cycle") // 10 == day) for day in range(4)]
    # The first file was never scored.
    fleet.score(receipts[1], days[1].with_columns(label=pl.lit(value=True)), version="1")
    fleet.score(receipts[2], days[2], version="2")
    lives = days[3].with_columns(remaining_life=50.0, remaining_low=40.0, remaining_high=None)
    fleet.score(receipts[3], lives, version="2")
    found = readings_of_span(intake, "2", ["sensor_2"], Span())
    scores = unit_scores(intake, engine, "2", found)
    assert scores.times.tolist() == list(range(1, 40))
    assert np.isnan(scores.probability[:9]).all()
    np.testing.assert_allclose(scores.probability[9:], np.arange(10, 40) / 100)
    assert (scores.unscored, scores.version) == (9, "2")
    assert scores.threshold == pytest.approx(0.35)
    assert scores.label.tolist() == [False] * 9 + [True] * 10 + [False] * 15 + [True] * 5
    assert np.isnan(scores.remaining_life[:29]).all()
    assert scores.remaining_low[29:].tolist() == [40.0] * 10
    assert np.isnan(scores.remaining_high).all()
    nobody = unit_scores(intake, engine, "x", readings_of_span(intake, "x", [], Span()))
    assert (len(nobody.times), nobody.version, nobody.threshold) == (0, "", None)
