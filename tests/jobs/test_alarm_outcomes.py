"""Did it help? Real cases and real logs of events, counted by month."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import sqlalchemy as sa

from presagio.ingest.compaction import Rules, compact
from presagio.ingest.filing import Intake
from presagio.jobs.alarm_outcomes import Failures, FleetOutcomes, fleet_outcomes
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.storage.alarm_entries import open_case
from presagio.storage.alarm_tables import SCORED_RECEIPTS
from presagio.storage.alarms import Alarms
from presagio.storage.database import open_database
from presagio.storage.scored_units import watched_from
from presagio.storage.unit_states import write_states
from tests.conftest import RunningServices
from tests.engines import ENGINES, engine_rows, engines
from tests.filing import file_body
from tests.motors import motor_rows, motors

pytestmark = pytest.mark.integration
_MADRID = ZoneInfo("Europe/Madrid")
_START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings)
    yield engine
    engine.dispose()


@pytest.fixture
def intake(new_intake: Callable[[], Intake]) -> Intake:
    found = new_intake()
    return replace(found, spec=engines(), ledger=found.ledger.of_fleet(f"f{uuid4().hex[:8]}"))


def _by_days() -> MachineSpec:
    text = ENGINES.read_text(encoding="utf-8").replace('kind = "counter"', "")
    text = text.replace("within = 30", 'within = "10d"').replace("most = 125", 'most = "125d"')
    return parse_spec(text.replace("age = true", "").encode(), "engines.toml")


def _scored(intake: Intake, engine: sa.Engine, name: str, rows: pl.DataFrame) -> int:
    """File readings, and note that they have been scored."""
    receipt = file_body(intake, name, rows.write_csv().encode())
    values = {
        "receipt_id": receipt.id, "fleet": intake.ledger.fleet, "model": "m", "version": "1",
        "rows": len(rows), "units": 1, "keys": [],
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.insert(SCORED_RECEIPTS).values(values))
    return receipt.id


def _alarm(intake: Intake, engine: sa.Engine, unit: str, time: float) -> int:
    values = {
        "fleet": intake.ledger.fleet, "unit": unit, "mode": "", "receipt_id": 1,
        "reading_time": time, "reading_at": str(time), "model": "m", "version": "1",
        "probability": 0.9, "diagnosis": None,
    }  # fmt: skip
    with engine.begin() as connection:
        number = open_case(connection, values)
    assert number is not None
    return number


def _seen(intake: Intake, engine: sa.Engine, unit: str, time: float) -> None:
    row = {
        "fleet": intake.ledger.fleet, "unit": unit, "state": "well", "since": _START,
        "reading_time": time, "reading_at": str(time), "probability": 0.1, "score": -2.0,
        "label": False, "mode": None, "remaining_life": None, "remaining_low": None,
        "remaining_high": None, "receipt_id": 1, "model": "m", "version": "1", "diagnosis": None,
        "memory": {}, "updated_at": _START,
    }  # fmt: skip
    with engine.begin() as connection:
        write_states(connection, [row])


def _log(intake: Intake, name: str, *rows: str) -> None:
    file_body(intake, f"events/{name}", ("unit,cycle,kind\n" + "\n".join(rows)).encode())


def _outcomes(intake: Intake, engine: sa.Engine) -> FleetOutcomes:
    return fleet_outcomes(intake, engine, Failures.of(intake), _MADRID)


def test_failures_and_alarms_of_counts_are_in_the_month_in_which_they_became_known(
    intake: Intake, engine: sa.Engine
) -> None:
    rows = engine_rows(3).filter(pl.col("cycle").is_between(20, 60))
    _scored(intake, engine, "a.csv", rows)
    caught, _, _ = (_alarm(intake, engine, u, t) for u, t in (("1", 55), ("2", 22), ("3", 30)))
    # Before the first reading that was scored nobody could have given an alarm.
    _log(intake, "a.csv", "1,60,failure", "2,10,failure", "2,60,failure", "3,50,repair")
    _seen(intake, engine, "3", 55.0)
    found = _outcomes(intake, engine)
    (month,) = found.months
    assert month.month == datetime.now(_MADRID).strftime("%Y-%m")
    assert (found.by_filing, found.has_horizon, found.day_name) == (True, True, "cycle")
    total = found.total
    assert (total.failures, total.caught, total.too_early, total.unwatched) == (2, 2, 0, 1)
    assert total.leads == (5.0, 38.0)
    assert (total.alarms, total.right, total.repaired) == (3, 2, 1)
    Alarms(engine, intake.ledger.fleet).close(caught, "false", "ana", "nothing to see")
    # What happened counts more than what somebody said of it.
    assert _outcomes(intake, engine).total == total


def test_an_outcome_that_somebody_gives_changes_what_is_counted(
    intake: Intake, engine: sa.Engine
) -> None:
    _scored(intake, engine, "a.csv", engine_rows(1).head(30))
    number = _alarm(intake, engine, "1", 29)
    _seen(intake, engine, "1", 30.0)
    assert _outcomes(intake, engine).total.unknown == 1
    Alarms(engine, intake.ledger.fleet).close(number, "false", "ana", "nothing to see")
    after = _outcomes(intake, engine).total
    assert (after.unknown, after.false, after.cost) == (0, 1, engines().costs.false_alarm)


def test_failures_and_alarms_of_timestamps_are_in_their_own_month_of_the_plant(
    intake: Intake, engine: sa.Engine
) -> None:
    intake = replace(intake, spec=_by_days())
    rows = engine_rows(1).head(60)
    dates = [(_START + timedelta(days=i)).isoformat() for i in range(60)]
    _scored(intake, engine, "a.csv", rows.with_columns(cycle=pl.Series(dates)))
    # Half an hour before midnight of UTC it is the next month in Madrid.
    fails = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    _alarm(intake, engine, "1", (fails - timedelta(days=3)).timestamp() * 1e6)
    _log(intake, "a.csv", f"1,{fails.isoformat()},failure")
    found = _outcomes(intake, engine)
    assert [(m.month, m.failures, m.alarms) for m in found.months] == [
        ("2026-02", 1, 0), ("2026-01", 0, 1),
    ]  # fmt: skip
    assert (found.by_filing, found.day_name) == (False, "days")
    assert found.total.lead_quartiles == (3.0, 3.0, 3.0)


def test_units_are_watched_from_their_first_scored_reading_also_once_files_are_put_together(
    intake: Intake, engine: sa.Engine
) -> None:
    bucket, fleet = intake.prefixes.bucket, intake.ledger.fleet
    rows = engine_rows(2).filter(pl.col("cycle") <= 40).sort("cycle")
    file_body(intake, "before.csv", rows.filter(pl.col("cycle") <= 10).write_csv().encode())
    for start in (11, 21):
        part = rows.filter(pl.col("cycle").is_between(start, start + 9))
        _scored(intake, engine, f"{start}.csv", part)
    asked = ["1", "2", "nobody"]
    assert watched_from(engine, bucket, fleet, asked) == {"1": 11.0, "2": 11.0}
    assert watched_from(engine, bucket, fleet, []) == {}
    compact(intake, Rules(datetime.now(UTC) + timedelta(hours=1), 2, 1 << 20))
    # Of what was put together it is known of the first file, and of the last.
    assert watched_from(engine, bucket, fleet, asked) == {"1": 30.0, "2": 30.0}


def test_failures_that_readings_tell_of_count_once(intake: Intake, engine: sa.Engine) -> None:
    intake = replace(intake, spec=motors())
    rows = motor_rows(2, 30).with_columns(
        failed=pl.Series([False] * 29 + [True] + [False] * 30)
    )  # fmt: skip
    _scored(intake, engine, "a.csv", rows)
    at = rows["taken_at"][29].replace(tzinfo=_MADRID)
    _alarm(intake, engine, "M00", (at - timedelta(hours=2)).timestamp() * 1e6)
    log = f"motor,taken_at,kind\nM00,{at.isoformat()},failure\n"
    failures = Failures.of(intake)
    for _ in range(2):
        total = fleet_outcomes(intake, engine, failures, _MADRID).total
        assert (total.failures, total.caught, total.unwatched) == (1, 1, 0)
        assert total.leads == (2 / 24,)
        file_body(intake, "events/a.csv", log.encode())


def test_a_fleet_without_units_or_alarms_has_nothing_to_count(
    new_intake: Callable[[], Intake], engine: sa.Engine
) -> None:
    found = new_intake()
    empty = replace(found, ledger=found.ledger.of_fleet(f"f{uuid4().hex[:8]}"))
    assert _outcomes(empty, engine).months == ()
