"""Scores and events of units to their states and cases, in the transaction of a receipt."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from presagio.lifecycle.alarm_state import (
    Advance,
    AlarmMemory,
    Decision,
    Newer,
    Reading,
    advance,
    after_end,
)
from presagio.machine.learning import AlarmRule
from presagio.sentences import Count, Moment, Sentence, Value, sentence_json
from presagio.storage.alarm_entries import (
    PROGRAM,
    SENTENCE,
    Outcome,
    close_case,
    open_case,
    open_of_units,
)
from presagio.storage.arrivals import Scoring, UnitEvent
from presagio.storage.unit_states import StoredState, UnitState, lock_states, write_states

FAILURE, REPAIR = "failure", "repair"
Diagnosis = Mapping[str, Any] | None
# What was said of the life that is over says nothing of the next one.
_OF_NO_READING: Mapping[str, Any] = {
    "probability": None, "score": None, "label": False, "mode": None, "remaining_life": None,
    "remaining_low": None, "remaining_high": None, "diagnosis": None,
}  # fmt: skip
# Number of an open case → its mode, and the time of the reading that confirmed it.
Cases = dict[int, tuple[str, float | None]]


@dataclass(frozen=True)
class ScoredReading:
    """A reading of a unit with its scores.

    Attributes
    ----------
    time, at
        As times are compared, and as it is written; None where readings have no time.
    scores
        Columns of :data:`.alarm_tables.UNIT_STATES` that the model fills: ``label``,
        ``probability``, ``score``, ``mode`` and how long the unit has left.
    place
        By which its explanation is asked for.
    """

    time: float | None
    at: str | None
    scores: Mapping[str, Any]
    place: int


@dataclass(frozen=True)
class CaseCounts:
    """How many cases were opened and closed."""

    opened: int = 0
    closed: int = 0

    def __add__(self, other: "CaseCounts") -> "CaseCounts":
        """Sum two up."""
        return CaseCounts(self.opened + other.opened, self.closed + other.closed)


def _state(cases: Cases, memory: AlarmMemory, *, label: bool) -> StoredState:
    if cases:
        return "alarm"
    return "watch" if memory.on or label else "well"


def _close_by_event(scoring: Scoring, alarm_id: int, event: UnitEvent) -> int:
    """Close a case by a failure or a repair; return how many were closed."""
    at: dict[str, Value] = {"at": Moment(str(event.at))}
    if event.kind == FAILURE:
        why = Sentence("the log of events has a failure of the unit at %(at)s", at)
    else:
        why = Sentence("the log of events has a repair of the unit at %(at)s", at)
    detail = {
        "event": event.kind, "at": event.at, "receipt_id": event.receipt_id,
        SENTENCE: sentence_json(why),
    }  # fmt: skip
    outcome: Outcome = "failure" if event.kind == FAILURE else "repaired"
    return int(close_case(scoring.connection, alarm_id, outcome, PROGRAM, str(why), detail=detail))


class UnitCases:
    """Follows the units of one receipt.

    Parameters
    ----------
    scoring
        The open transaction.
    rule
        When an alarm is on.
    model, version
        What has scored the readings.
    explain
        Returns the explanation of a reading by its place; None where there is none.
    latest
        The last time that a reading can be of, as times are compared; None where any can be. A
        later one is of a clock that is wrong: its unit would have nothing newer for years.

    Attributes
    ----------
    ahead
        Readings that were later than that, and are passed.
    """

    def __init__(
        self, scoring: Scoring, rule: AlarmRule, model: str, version: str,
        explain: Callable[[int], Diagnosis], latest: float | None = None,
    ) -> None:  # fmt: skip
        self._scoring, self._rule, self._explain = scoring, rule, explain
        self._latest, self.ahead = latest, 0
        self._by = {"model": model, "version": version, "receipt_id": scoring.receipt.id}
        self._counts = CaseCounts()

    def follow(self, units: Mapping[str, Sequence[ScoredReading]]) -> CaseCounts:
        """Go on with units by their readings, in order of time; older ones than known are passed.

        Returns
        -------
        CaseCounts
            What became of cases.
        """
        scoring = self._scoring
        cases = open_of_units(scoring.connection, scoring.fleet, units)
        known = lock_states(scoring.connection, scoring.fleet, units)
        real = {unit: in_time(readings, self._latest) for unit, readings in units.items()}
        self.ahead += sum(len(units[unit]) - len(readings) for unit, readings in real.items())
        newer = {unit: _newer(readings, known.get(unit)) for unit, readings in real.items()}
        newer = {unit: readings for unit, readings in newer.items() if readings}
        ends = _ends(scoring.events(newer))
        found = advance(
            self._rule,
            [
                Newer(
                    _memory(known.get(unit)),
                    [_as_reading(one) for one in readings],
                    [event.time for event in ends.get(unit, ())],
                )
                for unit, readings in newer.items()
            ],
        )
        rows = [
            self._advance(
                unit, newer[unit], one, cases.get(unit, {}), known.get(unit), ends.get(unit, ())
            )
            for unit, one in zip(newer, found, strict=True)
        ]
        write_states(scoring.connection, rows)
        return self._counts

    def _advance(
        self, unit: str, readings: Sequence[ScoredReading], found: Advance, cases: Cases,
        before: UnitState | None, ends: Sequence[UnitEvent],
    ) -> dict[str, Any]:  # fmt: skip
        """Do what was decided about a unit, and return its state as a row."""
        for decision in found.decisions:
            if decision.kind == "open":
                self._open(unit, readings[decision.place], decision.mode, cases)
            else:
                self._close(cases, decision, readings[decision.place], ends)
                cases.clear()
        last, now = readings[-1], datetime.now(UTC)
        state = _state(cases, found.memory, label=last.scores["label"])
        same = before is not None and before.state == state
        return {
            "fleet": self._scoring.fleet, "unit": unit, "state": state,
            "since": before.since if same and before is not None else now,
            "reading_time": last.time, "reading_at": last.at, **last.scores, **self._by,
            "diagnosis": self._explain(last.place) if last.scores["label"] else None,
            "memory": found.memory.as_json(), "updated_at": now,
        }  # fmt: skip

    def _open(self, unit: str, reading: ScoredReading, mode: str, cases: Cases) -> None:
        values = {
            "fleet": self._scoring.fleet, "unit": unit, "mode": mode, **self._by,
            "reading_time": reading.time, "reading_at": reading.at,
            "probability": reading.scores["probability"],
            "diagnosis": self._explain(reading.place),
        }  # fmt: skip
        number = open_case(self._scoring.connection, values)
        if number is not None:
            cases[number] = (mode, reading.time)
            self._counts += CaseCounts(opened=1)

    def _close(
        self, cases: Cases, decision: Decision, reading: ScoredReading, ends: Sequence[UnitEvent]
    ) -> None:
        closed = 0
        for alarm_id, (_, time) in cases.items():
            if decision.kind == "ended" and (by := _ended_by(ends, time)) is not None:
                closed += _close_by_event(self._scoring, alarm_id, by)
                continue
            why = Sentence(
                "%(count)s readings in a row do not say so", {"count": Count(self._rule.quiet)}
            )
            detail = {
                "receipt_id": self._by["receipt_id"], "at": reading.at,
                SENTENCE: sentence_json(why),
            }  # fmt: skip
            connection = self._scoring.connection
            closed += close_case(connection, alarm_id, "quiet", PROGRAM, str(why), detail=detail)
        self._counts += CaseCounts(closed=closed)


def _memory(state: UnitState | None) -> AlarmMemory:
    return AlarmMemory() if state is None else AlarmMemory.from_json(state.memory)


def _as_reading(one: ScoredReading) -> Reading:
    return Reading(one.time, bool(one.scores["label"]), one.scores["mode"] or "")


def in_time(readings: Sequence[ScoredReading], latest: float | None) -> Sequence[ScoredReading]:
    """Return the readings that are not later than readings can be; all where any can be."""
    if latest is None:
        return readings
    return [one for one in readings if one.time is None or one.time <= latest]


def _newer(readings: Sequence[ScoredReading], state: UnitState | None) -> list[ScoredReading]:
    """Return the readings after the one that a state is of, of each time the first."""
    found, last = list[ScoredReading](), None if state is None else state.reading_time
    for one in readings:
        if last is not None and one.time is not None and one.time <= last:
            continue
        found.append(one)
        last = one.time
    return found


def _ends(events: Iterable[UnitEvent]) -> dict[str, list[UnitEvent]]:
    """Return the events that end lives, unit by unit; failures before repairs of the same time."""
    found: dict[str, list[UnitEvent]] = {}
    for event in sorted(events, key=lambda one: (one.time, one.kind)):
        if event.kind in (FAILURE, REPAIR):
            found.setdefault(event.unit, []).append(event)
    return found


def _ended_by(ends: Sequence[UnitEvent], time: float | None) -> UnitEvent | None:
    """Return the first event that ends the life of a reading; None where there is none."""
    return next((one for one in ends if time is None or one.time >= time), None)


def follow_events(scoring: Scoring, events: Sequence[UnitEvent]) -> CaseCounts:
    """Keep the events of a log, and close the cases of the lives that they end.

    Returns
    -------
    CaseCounts
        How many cases were closed.
    """
    scoring.replace_events(events)
    ends = _ends(events)
    cases = open_of_units(scoring.connection, scoring.fleet, ends)
    known = lock_states(scoring.connection, scoring.fleet, ends)
    closed, rows = 0, []
    for unit, ended in ends.items():
        rest: Cases = {}
        for alarm_id, (mode, time) in cases.get(unit, {}).items():
            if (by := _ended_by(ended, time)) is None:
                rest[alarm_id] = (mode, time)
            else:
                closed += _close_by_event(scoring, alarm_id, by)
        if unit in known:
            rows.append(_after_events(known[unit], rest, ended[-1].time))
    write_states(scoring.connection, rows)
    return CaseCounts(closed=closed)


def _after_events(state: UnitState, cases: Cases, ended: float) -> dict[str, Any]:
    """Return the state of a unit after a failure or a repair, as a row."""
    memory = after_end(_memory(state), ended, [mode for mode, _ in cases.values()])
    is_over = state.reading_time is None or state.reading_time <= ended
    found = _state(cases, memory, label=state.label and not is_over)
    row = {**vars(state), "state": found, "memory": memory.as_json()}
    if is_over:
        row |= _OF_NO_READING
    if found != state.state or (is_over and state.score is not None):
        row["since"] = datetime.now(UTC)
    return row
