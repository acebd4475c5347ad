"""Engines that age in fast motion: what the demonstration files, day by day."""

import io
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from presagio.ingest.checking import check_file
from presagio.jobs.fast_motion import FastMotion, failure_of, fast_motion, history
from presagio.machine.event_log import event_log
from presagio.machine.spec import MachineSpec, load_spec
from presagio.machine.titles import title_in

pytestmark = pytest.mark.unit

TODAY = date(2026, 3, 9)
DAYS = 7


@pytest.fixture(scope="module")
def engine_spec() -> MachineSpec:
    return load_spec("demo_engines")


@pytest.fixture(scope="module")
def motion(engine_spec: MachineSpec) -> FastMotion:
    return fast_motion(engine_spec, "0309-120000", TODAY, DAYS)


def _life(motion: FastMotion, unit: str) -> pl.DataFrame:
    rows = pl.concat([motion.before, *(day.readings for day in motion.days)])
    return rows.filter(pl.col("engine") == unit)


def test_each_day_until_yesterday_has_readings_of_every_engine(motion: FastMotion) -> None:
    assert [day.date for day in motion.days] == [
        TODAY - timedelta(days=back) for back in range(DAYS, 0, -1)
    ]
    for day in motion.days:
        assert set(day.readings["engine"]) == set(motion.units)
        assert set(day.readings["taken_at"].dt.date()) == {day.date}
    assert motion.before["taken_at"].max() < datetime(2026, 3, 2, tzinfo=UTC)  # type: ignore[operator]


def test_the_first_engine_fails_after_its_last_reading_and_on_the_last_day(
    motion: FastMotion, engine_spec: MachineSpec
) -> None:
    last = _life(motion, motion.failing)["taken_at"][-1]
    assert last < motion.failed_at < datetime(2026, 3, 9, tzinfo=UTC)
    log = failure_of(engine_spec, motion)
    assert log.rows() == [(motion.failing, motion.failed_at, "failure")]


def test_readings_are_eight_hours_apart_and_none_is_lost(motion: FastMotion) -> None:
    for unit in motion.units:
        steps = _life(motion, unit)["taken_at"].diff().drop_nulls()
        assert set(steps) == {timedelta(hours=8)}
        # A model looks at the newest twelve readings, and at the first six.
        assert len(steps) > 18


def test_each_run_has_engines_of_its_own_with_the_same_readings(
    motion: FastMotion, engine_spec: MachineSpec
) -> None:
    other = fast_motion(engine_spec, "0309-120500", TODAY, DAYS)
    assert not {*motion.units} & {*other.units}
    assert other.before.drop("engine").equals(motion.before.drop("engine"))


def test_the_history_is_the_same_each_time_and_of_other_engines(
    motion: FastMotion, engine_spec: MachineSpec
) -> None:
    readings, failures = history(engine_spec, 4)
    again = history(engine_spec, 4)
    assert readings.equals(again[0])
    assert failures.equals(again[1])
    assert not {*failures["engine"]} & {*motion.units}
    vibration = set(readings["vibration_mm_s"]) & set(motion.before["vibration_mm_s"])
    assert len(vibration) < 10, "lives that a model has learned from"
    last = readings.group_by("engine", maintain_order=True).agg(pl.col("taken_at").last())
    assert last["engine"].equals(failures["engine"])
    assert ((failures["taken_at"] - last["taken_at"]) == timedelta(hours=4)).all()


def test_the_intake_takes_every_row(motion: FastMotion, engine_spec: MachineSpec) -> None:
    readings, failures = history(engine_spec, 4)
    for rows in (motion.before, motion.days[0].readings, readings):
        checked = check_file(io.BytesIO(rows.write_csv().encode()), engine_spec)
        assert (len(checked.accepted), len(checked.rejected)) == (len(rows), 0)
    for log in (failures, failure_of(engine_spec, motion)):
        checked = check_file(io.BytesIO(log.write_csv().encode()), event_log(engine_spec))
        assert (len(checked.accepted), len(checked.rejected)) == (len(log), 0)


def test_what_people_see_of_the_engines_has_titles_in_both_languages(
    engine_spec: MachineSpec,
) -> None:
    titles = [engine_spec.title, *(feature.title for feature in engine_spec.features)]
    titles.append(engine_spec.target.title)
    assert all(title_in(title, "es") != title for title in titles)
