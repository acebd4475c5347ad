"""One unit: what is expected of it and what to do, its readings over time, its past."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from starlette.responses import Response

from presagio.console.catalogue import mark
from presagio.console.last_known import UNAVAILABLE
from presagio.console.routing import Page, get
from presagio.console.series_view import ChartView, Mark, Times
from presagio.console.unit_view import UnitCharts
from presagio.console.visit import Visit
from presagio.console.wording import write_all
from presagio.errors import DataError, NotFoundError
from presagio.fleet import Fleet
from presagio.inference.diagnosis_words import describe, title_of
from presagio.ingest.unit_span import Span
from presagio.jobs.known_events import UnitEvent
from presagio.jobs.unit_history import UnitHistory, unit_history
from presagio.sentences import Sentence
from presagio.storage.alarm_entries import PROGRAM
from presagio.storage.alarms import AlarmCase, Alarms
from presagio.storage.unit_states import NO_DATA, UnitState, UnitStates

Value = TypeVar("Value")

# How many readings can be chosen; the last is as many as a page reads at all.
COUNTS = (500, 5000, 100_000)
_USUAL = 500
_PAST = 20
# More charts than these are a page that nobody looks at: the others are shown when asked for.
_CHARTS = 6
_LONGEST_NAME = 200


@dataclass(frozen=True)
class _Seen:
    """What is known of a unit in the ledger."""

    state: UnitState | None
    cases: tuple[AlarmCase, ...]


def _span(visit: Visit) -> Span:
    count = next((n for n in COUNTS if str(n) == visit.query("count")), _USUAL)
    try:
        until = float(visit.query("until") or math.inf)
    except ValueError:
        until = math.inf
    return Span(count=count, until=until if math.isfinite(until) else math.inf)


def _ledger(visit: Visit, fleet: Fleet, unit: str) -> _Seen:
    name, engine = fleet.settings.fleet, visit.services.engine
    cases = Alarms(engine, name).cases(unit=unit, limit=_PAST)
    return _Seen(UnitStates(engine, name).one(unit), tuple(cases))


def _if_there(visit: Visit, key: Hashable, source: Callable[[], Value]) -> Value | None:
    """Read a part of the page; None where it cannot be had: the other parts are shown."""
    try:
        return visit.read(key, source)
    except (*UNAVAILABLE, DataError):
        return None


def _marks(visit: Visit, events: list[UnitEvent], cases: tuple[AlarmCase, ...]) -> list[Mark]:
    words = {"failure": visit.translate(mark("failure")), "repair": visit.translate(mark("repair"))}
    found = [Mark(event.time, event.kind, words[event.kind]) for event in events
             if event.kind in words]  # fmt: skip
    alarm = visit.translate(mark("alarm"))
    found += [Mark(c.reading_time, "alarm", alarm) for c in cases if c.reading_time is not None]
    return found


@dataclass(frozen=True)
class _Drawn:
    """The charts of the page."""

    scores: tuple[ChartView, ...]
    limited: tuple[ChartView, ...]
    others: tuple[ChartView, ...]
    hidden: int


def _draw(visit: Visit, charts: UnitCharts, history: UnitHistory) -> _Drawn:
    scores = (charts.of_probability(history), charts.of_remaining(history))
    limited = charts.of_readings(history, limited=True)
    others = charts.of_readings(history, limited=False)
    shown = others if visit.query("all") else others[:_CHARTS]
    return _Drawn(
        tuple(chart for chart in scores if chart is not None), tuple(limited), tuple(shown),
        len(others) - len(shown),
    )  # fmt: skip


def _show(visit: Visit) -> Response:
    fleet, unit, span = visit.services.fleet(visit.part("fleet")), visit.part("unit"), _span(visit)
    here = (fleet.name, fleet.spec.digest, unit)
    seen = visit.read(("unit", *here), lambda: _ledger(visit, fleet, unit))
    times = None if fleet.spec.time is None else Times(visit.show, fleet.spec.time)
    events = history = drawn = None
    if fleet.spec.is_series and times is not None:
        events = _if_there(
            visit, ("events", *here), lambda: visit.services.failures(fleet).logged.of_unit(unit)
        )
        services = visit.services
        history = _if_there(
            visit, ("readings", *here, span),
            lambda: unit_history(
                services.intake(fleet), services.engine, unit, span, kept=services.kept
            ),
        )  # fmt: skip
        marks = _marks(visit, events or [], seen.cases)
        charts = UnitCharts(visit.show, fleet.spec, times, marks)
        drawn = None if history is None else _draw(visit, charts, history)
    _check_known(visit, fleet, unit, seen, events, history)
    state = seen.state
    diagnosis = state.diagnosis if state else None
    units = visit.show.units_of(fleet.spec)
    words = describe(fleet.spec, diagnosis, visit.language, units) if diagnosis else None
    silent_since = datetime.now(UTC) - timedelta(hours=visit.services.settings.unit_silent_h)
    return visit.page(
        "unit.html", fleet=fleet, unit=unit, state=state, cases=seen.cases,
        title_of=title_of(fleet.spec, visit.language), program=PROGRAM,
        series=fleet.spec.is_series, times=times, history=history, drawn=drawn,
        shown=NO_DATA if state is None else state.shown(silent_since),
        words=None if words is None else write_all(visit.show, words.all),
        events=None if events is None else events[:_PAST], counts=COUNTS, span=span,
    )  # fmt: skip


def _check_known(
    visit: Visit, fleet: Fleet, unit: str, seen: _Seen, events: list[UnitEvent] | None,
    history: UnitHistory | None,
) -> None:  # fmt: skip
    """Refuse a name that nothing is known of; what cannot be asked now may know it."""
    unknown = seen.state is None and not seen.cases
    if fleet.spec.is_series:
        unknown &= events is not None and not events
        unknown &= history is not None and not history.count
        # Of the span that was asked for; another one may have readings.
        unknown &= not visit.query("until")
    if unknown:
        raise NotFoundError(
            Sentence(
                "The fleet %(fleet)s has no unit with the name %(unit)s.",
                {"fleet": fleet.name, "unit": unit[:_LONGEST_NAME]},
            )
        )


PAGE = Page(routes=(get("/units/{fleet}/{unit}", _show),))
