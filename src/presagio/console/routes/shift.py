"""The first page: the units of all fleets, the worst first, and what is expected of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from presagio.console.addresses import address
from presagio.console.catalogue import mark
from presagio.console.routing import MenuEntry, Page, get
from presagio.console.series_view import Times
from presagio.console.visit import Updating, Visit
from presagio.fleet import Fleet
from presagio.inference.diagnosis_words import title_of
from presagio.storage.unit_states import STATES, State, UnitState, UnitStates

_PER_PAGE = 100
_LONGEST_SEARCH = 200


@dataclass(frozen=True)
class _Filter:
    """What the visitor wants to see."""

    fleet: str
    state: State | None
    search: str

    @classmethod
    def of(cls, visit: Visit) -> "_Filter":
        chosen = visit.query("state")
        state = next((known for known in STATES if known == chosen), None)
        return cls(visit.query("fleet"), state, visit.query("search")[:_LONGEST_SEARCH])

    def address(self, *parts: str, **changed: object) -> str:
        """Return an address with this filter, some of it changed."""
        fields = {"fleet": self.fleet, "state": self.state, "search": self.search}
        return address(*parts, **{**fields, **changed})


@dataclass(frozen=True)
class _Seen:
    """What the page shows.

    Attributes
    ----------
    units
        Each with its fleet and the state that is shown, the worst first.
    counts
        Units in each state, of the fleets that are looked at.
    more
        Whether there are further ones.
    """

    units: tuple[tuple[Fleet, UnitState, State], ...]
    counts: Mapping[State, int]
    more: bool


class _Titles:
    """Finds the titles of failure modes, of each fleet's machine spec once."""

    def __init__(self, language: str) -> None:
        self._language, self._by_fleet = language, dict[str, Callable[[object], str]]()

    def __call__(self, fleet: Fleet, mode: str | None) -> str:
        """Return the title of a mode; empty where none is named."""
        if fleet.name not in self._by_fleet:
            self._by_fleet[fleet.name] = title_of(fleet.spec, self._language)
        return self._by_fleet[fleet.name](mode)


def _look(visit: Visit, wanted: _Filter) -> _Seen:
    silent_since = datetime.now(UTC) - timedelta(hours=visit.services.settings.unit_silent_h)
    found: list[tuple[Fleet, UnitState]] = []
    counts = dict.fromkeys(STATES, 0)
    for fleet in _fleets(visit, wanted.fleet):
        states = UnitStates(visit.services.engine, fleet.settings.fleet)
        for state, number in states.counts(silent_since=silent_since).items():
            counts[state] += number
        found += [
            (fleet, unit)
            for unit in states.page(
                state=wanted.state, search=wanted.search, limit=_PER_PAGE + 1,
                silent_since=silent_since,
            )
        ]  # fmt: skip
    found.sort(key=lambda pair: (pair[1].place, pair[0].name))
    shown = tuple((fleet, unit, unit.shown(silent_since)) for fleet, unit in found[:_PER_PAGE])
    return _Seen(shown, counts, len(found) > _PER_PAGE)


def _fleets(visit: Visit, name: str) -> list[Fleet]:
    known = visit.services.fleets.by_name
    return [fleet for fleet in known.values() if name in {"", fleet.name}]


def _units(visit: Visit, wanted: _Filter) -> Updating:
    seen = visit.read(("shift", wanted), lambda: _look(visit, wanted))
    return visit.updating(
        "shift_units.html", wanted.address("shift", "units"), seen=seen, wanted=wanted,
        is_filtered=wanted != _Filter("", None, ""), limit=_PER_PAGE,
        title_of=_Titles(visit.language),
        times_of=lambda fleet: _times(visit, fleet),
    )  # fmt: skip


def _times(visit: Visit, fleet: Fleet) -> Times | None:
    """Return how times of a fleet are written; None where its readings have none."""
    return None if fleet.spec.time is None else Times(visit.show, fleet.spec.time)


def _show(visit: Visit) -> Response:
    wanted = _Filter.of(visit)
    units = _units(visit, wanted)
    fleets = [fleet.name for fleet in _fleets(visit, "")]
    faults = visit.services.fleets.faults
    return visit.page(
        "shift.html", units=units, wanted=wanted, fleets=fleets, faults=faults, states=STATES
    )


def _update(visit: Visit) -> Response:
    return visit.answer(_units(visit, _Filter.of(visit)))


PAGE = Page(
    routes=(get("/", _show), get("/shift/units", _update, updates=True)),
    menu=MenuEntry(10, address(), mark("Shift")),
)
