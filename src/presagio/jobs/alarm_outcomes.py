"""Did it help? What became of a fleet's alarms, from the ledger of cases and the logs of events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
import polars as pl
import sqlalchemy as sa

from presagio.ingest.events import RECEIPT, TIME, UNIT
from presagio.ingest.filing import Intake
from presagio.jobs.known_events import KnownEvents, LabelledFailures
from presagio.lifecycle.alarm_outcomes import GivenAlarm, LifeEnd, Outcomes, evaluate_alarms
from presagio.machine.learning import IS_FAILURE, IS_REPAIR
from presagio.readings.instants import time_numbers
from presagio.storage.alarms import AlarmCase, Alarms
from presagio.storage.scored_units import first_scored, seen_until, watched_from

_PAGE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FleetOutcomes:
    """What became of a fleet's alarms.

    Attributes
    ----------
    total
        All together.
    months
        Each month, the newest first.
    day_name
        The unit of lead times: ``days``, or the name of the time that counts.
    by_filing
        Whether months are those in which failures were filed and alarms given, since the times of
        readings are counts and no dates.
    has_horizon
        Whether the label says how far ahead a failure is to be foreseen.
    """

    total: Outcomes
    months: tuple[Outcomes, ...]
    day_name: str
    by_filing: bool
    has_horizon: bool


@dataclass(frozen=True)
class Failures:
    """Where a fleet's failures are known from.

    Attributes
    ----------
    logged
        What its logs say.
    labelled
        What its readings say, where their target does.
    """

    logged: KnownEvents
    labelled: LabelledFailures

    @classmethod
    def of(cls, intake: Intake) -> "Failures":
        """Return both of a fleet; nothing is read yet."""
        return cls(KnownEvents(intake), LabelledFailures(intake))


def fleet_outcomes(
    intake: Intake, engine: sa.Engine, failures: Failures, zone: tzinfo
) -> FleetOutcomes:
    """Count what became of the alarms of a fleet.

    Parameters
    ----------
    intake
        The fleet's.
    engine
        The database of the ledger.
    failures
        How they are known, and kept between two calls.
    zone
        The plant's time zone, in which months begin.

    Raises
    ------
    DataError
        If an object of a log is gone.
    StorageError
        If store or ledger fail.
    """
    spec, fleet = intake.spec, intake.ledger.fleet
    counts = spec.time is None or spec.time.is_counter
    alarms = [
        GivenAlarm(case.unit, case.reading_time, _month(case, counts=counts, zone=zone),
                   case.outcome)
        for case in _each_case(Alarms(engine, fleet)) if case.reading_time is not None
    ]  # fmt: skip
    month = _month_of(intake, zone) if counts else _of_instant(zone)
    ends = _life_ends(intake, engine, failures, month)
    units = {alarm.unit for alarm in alarms}
    total, *months = evaluate_alarms(
        ends, alarms, seen_until(engine, fleet, units), spec.costs,
        horizon=spec.label.horizon, day=spec.day,
    )  # fmt: skip
    return FleetOutcomes(
        total, tuple(months), spec.day_name, counts, spec.label.horizon is not None
    )


def _each_case(alarms: Alarms) -> Iterator[AlarmCase]:
    before: int | None = None
    while True:
        page = alarms.cases(before=before, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        before = page[-1].id


def _written(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m")


def _month(case: AlarmCase, *, counts: bool, zone: tzinfo) -> str:
    if counts or case.reading_time is None:
        return _written(case.opened_at, zone)
    return _written(_EPOCH + timedelta(microseconds=case.reading_time), zone)


def _of_instant(zone: tzinfo) -> Callable[[float, int], str]:
    return lambda time, _receipt: _written(_EPOCH + timedelta(microseconds=time), zone)


def _month_of(intake: Intake, zone: tzinfo) -> Callable[[float, int], str]:
    """Return what finds the month in which a log was filed."""
    known: dict[int, str] = {}

    def find(_time: float, receipt: int) -> str:
        if receipt not in known:
            found = intake.ledger.receipts_numbered([receipt])
            known[receipt] = _written(found[0].created_at if found else _EPOCH, zone)
        return known[receipt]

    return find


def _life_ends(
    intake: Intake, engine: sa.Engine, failures: Failures, month: Callable[[float, int], str]
) -> list[LifeEnd]:
    logged = failures.logged.read()
    if logged is None:
        return []
    rows = logged.rows.filter(pl.col(IS_FAILURE) | pl.col(IS_REPAIR))
    times = time_numbers(rows[TIME]).astype(np.float64).tolist()
    known = {
        (unit, time, is_failure): receipt
        for unit, time, is_failure, receipt in zip(
            rows[UNIT], times, rows[IS_FAILURE], rows[RECEIPT], strict=True
        )
    }
    bucket, fleet = intake.prefixes.bucket, intake.ledger.fleet
    if intake.spec.needs_target and (first := first_scored(engine, fleet)) is not None:
        # Of files before nobody could have given an alarm.
        for unit, time, receipt in failures.labelled.read(after=first - 1):
            known.setdefault((unit, time, True), receipt)
    units = {unit for unit, _, is_failure in known if is_failure}
    watched = watched_from(engine, bucket, fleet, units)
    return [
        LifeEnd(unit, time, is_failure, month(time, receipt),
                watched=time >= watched.get(unit, np.inf))
        for (unit, time, is_failure), receipt in known.items()
    ]  # fmt: skip
