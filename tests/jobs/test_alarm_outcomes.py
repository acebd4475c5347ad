"""Did it help? Real cases and real logs of events, counted by month."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from presagio.ingest.compaction import Rules, compact
from presagio.ingest.filing import Intake
from presagio.jobs.alarm_outcomes import Failures, FleetOutcomes, fleet_outcomes
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.storage.scored_units import watched_from
from tests.conftest import RunningServices
from tests.engines import ENGINES, engine_rows, engines
from tests.motors import motor_rows, motors
from tests.watched import Watched, opened_engine

pytestmark = pytest.mark.integration
_MADRID = ZoneInfo("Europe/Madrid")
_START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def fleet(new_intake: Callable[[], Intake], services: RunningServices) -> Iterator[Watched]:
    found = new_intake()
    ledger = found.ledger.of_fleet(f"f{uuid4().hex[:8]}")
    with opened_engine(services.settings) as engine:
        yield Watched(replace(found, spec=engines(), ledger=ledger), engine)


def _by_days() -> MachineSpec:
    text = ENGINES.read_text(encoding="utf-8").replace('kind = "counter"', "")
    text = text.replace("within = 30", 'within = "10d"').replace("most = 125", 'most = "125d"')
    return parse_spec(text.replace("age = true", "").encode(), "engines.toml")


def _outcomes(fleet: Watched) -> FleetOutcomes:
    return fleet_outcomes(fleet.intake, fleet.engine, Failures.of(fleet.intake), _MADRID)


def test_failures_and_alarms_of_counts_are_in_the_month_in_which_they_became_known(
    fleet: Watched,
) -> None:
    rows = engine_rows(3).filter(pl.col("cycle").is_between(20, 60))
    fleet.file_scored("a.csv", rows)
    caught, _, _ = (fleet.alarm(u, t) for u, t in (("1", 55), ("2", 22), ("3", 30)))
    # Before the first reading that was scored nobody could have given an alarm.
    fleet.log("a.csv", "1,60,failure", "2,10,failure", "2,60,failure", "3,50,repair")
    fleet.state("3", 55.0)
    found = _outcomes(fleet)
    (month,) = found.months
    assert month.month == datetime.now(_MADRID).strftime("%Y-%m")
    assert (found.by_filing, found.has_horizon, found.day_name) == (True, True, "cycle")
    total = found.total
    assert (total.failures, total.caught, total.too_early, total.unwatched) == (2, 2, 0, 1)
    assert total.leads == (5.0, 38.0)
    assert (total.alarms, total.right, total.repaired) == (3, 2, 1)
    fleet.alarms.close(caught, "false", "ana", "nothing to see")
    # What happened counts more than what somebody said of it.
    assert _outcomes(fleet).total == total


def test_an_outcome_that_somebody_gives_changes_what_is_counted(fleet: Watched) -> None:
    fleet.file_scored("a.csv", engine_rows(1).head(30))
    number = fleet.alarm("1", 29)
    fleet.state("1", 30.0)
    assert _outcomes(fleet).total.unknown == 1
    fleet.alarms.close(number, "false", "ana", "nothing to see")
    after = _outcomes(fleet).total
    assert (after.unknown, after.false, after.cost) == (0, 1, engines().costs.false_alarm)


def test_failures_and_alarms_of_timestamps_are_in_their_own_month_of_the_plant(
    fleet: Watched,
) -> None:
    fleet = replace(fleet, intake=replace(fleet.intake, spec=_by_days()))
    rows = engine_rows(1).head(60)
    dates = [(_START + timedelta(days=i)).isoformat() for i in range(60)]
    fleet.file_scored("a.csv", rows.with_columns(cycle=pl.Series(dates)))
    # Half an hour before midnight of UTC it is the next month in Madrid.
    fails = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    fleet.alarm("1", (fails - timedelta(days=3)).timestamp() * 1e6)
    fleet.log("a.csv", f"1,{fails.isoformat()},failure")
    found = _outcomes(fleet)
    assert [(m.month, m.failures, m.alarms) for m in found.months] == [
        ("2026-02", 1, 0), ("2026-01", 0, 1),
    ]  # fmt: skip
    assert (found.by_filing, found.day_name) == (False, "days")
    assert found.total.lead_quartiles == (3.0, 3.0, 3.0)


def test_units_are_watched_from_their_first_scored_reading_also_once_files_are_put_together(
    fleet: Watched,
) -> None:
    intake, engine = fleet.intake, fleet.engine
    place = (intake.prefixes.bucket, intake.ledger.fleet)
    rows = engine_rows(2).filter(pl.col("cycle") <= 40).sort("cycle")
    fleet.file("before.csv", rows.filter(pl.col("cycle") <= 10))
    for start in (11, 21):
        part = rows.filter(pl.col("cycle").is_between(start, start + 9))
        fleet.file_scored(f"{start}.csv", part)
    asked = ["1", "2", "nobody"]
    assert watched_from(engine, *place, asked) == {"1": 11.0, "2": 11.0}
    assert watched_from(engine, *place, []) == {}
    compact(intake, Rules(datetime.now(UTC) + timedelta(hours=1), 2, 1 << 20))
    # Of what was put together it is known of the first file, and of the last.
    assert watched_from(engine, *place, asked) == {"1": 30.0, "2": 30.0}


def test_failures_that_readings_tell_of_count_once(fleet: Watched) -> None:
    fleet = replace(fleet, intake=replace(fleet.intake, spec=motors()))
    rows = motor_rows(2, 30).with_columns(
        failed=pl.Series([False] * 29 + [True] + [False] * 30)
    )  # fmt: skip
    fleet.file_scored("a.csv", rows)
    at = rows["taken_at"][29].replace(tzinfo=_MADRID)
    fleet.alarm("M00", (at - timedelta(hours=2)).timestamp() * 1e6)
    failures = Failures.of(fleet.intake)
    for _ in range(2):
        total = fleet_outcomes(fleet.intake, fleet.engine, failures, _MADRID).total
        assert (total.failures, total.caught, total.unwatched) == (1, 1, 0)
        assert total.leads == (2 / 24,)
        fleet.log("a.csv", f"M00,{at.isoformat()},failure")


def test_a_fleet_without_units_or_alarms_has_nothing_to_count(
    fleet: Watched, spec: MachineSpec
) -> None:
    fleet = replace(fleet, intake=replace(fleet.intake, spec=spec))
    assert _outcomes(fleet).months == ()
