"""What a model can use of units' lives: of many at once the same as of each by itself."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from presagio.inference.event_features import EventTimes, event_columns
from presagio.inference.one_series import OneSeries
from presagio.ingest import unit_readings, unit_rows
from presagio.ingest.compaction import Rules, compact
from presagio.ingest.curated import training_schema
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.events import event_times, read_events
from presagio.ingest.filing import Intake
from presagio.ingest.unit_lives import life_so_far, lives_before, needed_of_a_life
from presagio.machine.spec import parse_spec
from presagio.readings.instants import time_numbers
from presagio.training.datasets.curated import read_curated
from tests.engines import engine_rows, engines, engines_with_events, engines_with_events_text
from tests.filing import file_body

pytestmark = pytest.mark.integration


@pytest.fixture
def intake(new_intake: Callable[[], Intake]) -> Intake:
    return replace(new_intake(), spec=engines())


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv().encode()


def _file_by_days(intake: Intake, rows: pl.DataFrame) -> None:
    """File readings of all units, ten cycles a file."""
    for (day,), part in rows.group_by(pl.col("cycle") // 10, maintain_order=True):
        file_body(intake, f"day-{day}.csv", _csv(part))


@pytest.fixture
def fleet(new_intake: Callable[[], Intake], monkeypatch: pytest.MonkeyPatch) -> Intake:
    """Twenty engines in files that overlap, some of them put together, and a log of events."""
    # So small that units, parts and readings are looked at in several goes.
    for name, most in {"_FIRST_PARTS": 1, "_MOST_LISTED": 6, "MOST_HELD": 100}.items():
        monkeypatch.setattr(unit_readings, name, most)
    monkeypatch.setattr(unit_rows, "MOST_HELD", 100)
    intake, chance = replace(new_intake(), spec=engines_with_events()), random.Random(3)
    rows = engine_rows(20)
    for number in range(24):
        units = chance.sample(range(1, 21), chance.choice([1, 5, 20]))
        start = chance.randrange(0, 100)
        some = rows.filter(
            pl.col("unit").is_in([str(unit) for unit in units]),
            pl.col("cycle").is_between(start, start + chance.choice([0, 3, 40])),
        )
        if len(some):
            # Whose reading it is, where several files have one of the time, shows in its values.
            file_body(
                intake, f"{number}.csv", _csv(some.with_columns(sensor_2=pl.lit(float(number))))
            )
        if number == 15:
            compact(intake, Rules(datetime.now(UTC) + timedelta(days=1), 2, 1 << 20))
    log = [f"{unit},{chance.randrange(1, 120)},{chance.choice(['repair', 'error', 'failure'])}"
           for unit in range(1, 16) for _ in range(3)]  # fmt: skip
    file_body(intake, "events/log.csv", "\n".join(["unit,cycle,kind", *log]).encode())
    return intake


def _every_reading(intake: Intake) -> pl.DataFrame:
    """Return each reading once, in order of unit and time."""
    columns = ["receipt_id", *training_schema(intake.spec)]
    files = [*intake.ledger.filed_rows(intake.prefixes.bucket)]
    of_readings = [file for file in files if not any("events" in key for key in file.keys)]
    rows = pl.concat(CuratedParts(intake, columns).blocks(of_readings)).select(columns)
    return rows.sort("unit", "cycle", "receipt_id").unique(
        ["unit", "cycle"], keep="first", maintain_order=True
    )


def _life(
    intake: Intake, unit: str, until: float, log: EventTimes, every: pl.DataFrame
) -> pl.DataFrame:
    """Return what is wanted of one unit, from all that there is."""
    spec, (wanted, first) = intake.spec, needed_of_a_life(intake.spec)
    log = EventTimes(*(column[log.units == unit] for column in vars(log).values()))
    ends = log.times[log.ended & (log.times < until)]
    rows = every.filter(
        pl.col("unit") == unit, pl.col("cycle") < until, pl.col("cycle") > ends.max(initial=-np.inf)
    )
    if len(log.times):
        times = rows["cycle"].to_numpy()
        for place, values in event_columns(spec, rows["unit"].to_numpy(), times, log).items():
            column = pl.Series(spec.input_names[place], values).fill_nan(None)
            rows = rows.with_columns(column)
    return rows if len(rows) <= first + wanted else pl.concat([rows.head(first), rows.tail(wanted)])


def test_lives_of_many_units_are_those_of_each(fleet: Intake) -> None:
    every, log, chance = (
        _every_reading(fleet),
        event_times(read_events(fleet).rows),
        random.Random(5),
    )
    for _ in range(12):
        units = [str(unit) for unit in chance.sample(range(1, 22), chance.choice([1, 7, 21]))]
        until = {unit: chance.choice([float("inf"), chance.uniform(0, 140)]) for unit in units}
        expected = [_life(fleet, unit, time, log, every) for unit, time in until.items()]
        order = ["unit", "cycle"]
        found = lives_before(fleet, until, log).sort(order)
        assert_frame_equal(found, pl.concat(expected).sort(order), check_dtypes=False)


def test_a_part_is_read_once_for_all_units(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = engine_rows(30).filter(pl.col("cycle") < 80)
    _file_by_days(intake, rows.sort("cycle"))
    found, read = list[str](), intake.store.read

    def noting(bucket: str, key: str) -> object:
        found.append(key)
        return read(bucket, key)

    monkeypatch.setattr(intake.store, "read", noting)
    no_events = event_times(read_events(intake).rows)
    until = {str(unit): 75.0 for unit in range(1, 31)}
    lives = lives_before(intake, until, no_events)
    assert len(lives) == 30 * sum(needed_of_a_life(intake.spec))
    # Four days of the newest 31 readings, and two of the first eleven.
    assert len(found) == 6


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
