"""What if: a reading is changed with sliders, and the model says at once what it expects."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Any

import polars as pl
from starlette.responses import Response

from presagio.console.addresses import address
from presagio.console.catalogue import mark
from presagio.console.last_known import UNAVAILABLE
from presagio.console.problems import RefusedError
from presagio.console.routing import MenuEntry, Page, get
from presagio.console.visit import Visit
from presagio.console.what_if_answer import Outcome, outcome, refusal
from presagio.console.what_if_view import Inputs
from presagio.errors import DataError, NotFoundError
from presagio.fleet import Fleet
from presagio.ingest.unit_lives import life_so_far
from presagio.jobs.unit_request import unit_request
from presagio.sentences import Sentence
from presagio.storage.unit_states import UnitStates

_UNITS = 50
_LONGEST_NAME = 200
_LONGEST_FAULT, _MOST_FAULTS = 500, 5
# While sliders move, a unit's readings are not read again.
_KEPT_S, _MOST_KEPT = 30.0, 32


class _Lives:
    """The newest readings of the units that somebody looks at."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, str, str], tuple[float, pl.DataFrame]] = OrderedDict()

    def of(self, visit: Visit, fleet: Fleet, unit: str) -> pl.DataFrame:
        """Return what a model can use of a unit's life up to now.

        Raises
        ------
        NotFoundError
            If nothing is known of it since its last failure or repair.
        """
        key, now = (fleet.name, fleet.spec.digest, unit), time.monotonic()
        with self._lock:
            read_at, rows = self._kept.get(key, (-_KEPT_S, None))
        if rows is None or now - read_at >= _KEPT_S:
            rows = visit.read(("life", *key), lambda: _read_life(visit, fleet, unit))
            with self._lock:
                self._kept[key] = now, rows
                self._kept.move_to_end(key)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        if rows.is_empty():
            raise NotFoundError(
                Sentence("Nothing is known of this unit since its last failure or repair.")
            )
        return rows


def _read_life(visit: Visit, fleet: Fleet, unit: str) -> pl.DataFrame:
    logged = visit.services.failures(fleet).logged.read()
    if logged is None:
        raise DataError(Sentence("the machine spec has no unit and time"))
    return life_so_far(visit.services.intake(fleet), unit, logged)


_LIVES = _Lives()


@dataclass(frozen=True)
class _Question:
    """What is asked: a fleet, a unit of it where its model needs a history, and a reading."""

    fleet: Fleet
    unit: str
    rows: pl.DataFrame | None
    inputs: Inputs
    values: dict[str, float | bool | None]

    @property
    def body(self) -> dict[str, Any]:
        """The body of ``POST /predict``."""
        known = {name: value for name, value in self.values.items() if value is not None}
        if self.rows is None:
            return {"request_id": 0, "features": known}
        asked = unit_request(self.fleet.spec, self.unit, self.rows)
        asked["readings"][-1]["features"] = known
        return {"request_id": 0, **asked}


def _fleet(visit: Visit) -> Fleet:
    name = visit.query("fleet")
    first = next(iter(visit.services.fleets.by_name.values()), None)
    return visit.services.fleet(name) if name or first is None else first


def _question(visit: Visit, fleet: Fleet) -> _Question:
    spec, unit, rows = fleet.spec, "", None
    start: dict[str, Any] = dict(spec.example)
    if spec.has_history:
        unit = visit.query("unit")
        rows = _LIVES.of(visit, fleet, unit)
        newest = rows.row(-1, named=True)
        start = {name: newest[name] for name in spec.input_names}
    inputs = Inputs(visit.show, spec, start)
    try:
        values = inputs.read(visit.query)
    except ValueError as err:
        fault = Sentence("%(title)s is no number.", {"title": str(err)})
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, fault) from err
    return _Question(fleet, unit, rows, inputs, values)


def _ask(visit: Visit, asked: _Question) -> tuple[Outcome | None, str]:
    """Ask the API; return what it says, or why it says nothing."""
    route = f"{asked.fleet.settings.fleet_route}/predict"
    try:
        answer = visit.services.api.ask(route, asked.body, explain="true")
    except UNAVAILABLE:
        return None, visit.translate(mark("The API does not answer now; try again in a while."))
    try:
        found = answer.json()
        if answer.is_success:
            return outcome(visit.show, asked.fleet.spec, found), ""
        why = refusal(visit.show, asked.fleet.spec, found) or str(answer.status_code)
    except (ValueError, KeyError, TypeError, AttributeError):
        why = str(answer.status_code)
    refused = mark("The API refuses this reading: %(why)s")
    return None, visit.translate(refused, why=why[:_LONGEST_FAULT])


def _show(visit: Visit) -> Response:
    fleet = _fleet(visit)
    fleets = list(visit.services.fleets.by_name)
    if fleet.spec.has_history and not visit.query("unit"):
        return _choose_unit(visit, fleet, fleets)
    asked = _question(visit, fleet)
    found, fault = _ask(visit, asked)
    return visit.page(
        "what_if.html", fleet=fleet, fleets=fleets, unit=asked.unit, found=found, fault=fault,
        sliders=asked.inputs.sliders(asked.values), choices=asked.inputs.choices(asked.values),
    )  # fmt: skip


def _choose_unit(visit: Visit, fleet: Fleet, fleets: list[str]) -> Response:
    search = visit.query("search")[:_LONGEST_NAME]
    states = UnitStates(visit.services.engine, fleet.settings.fleet)
    units = visit.read(
        ("what-if units", fleet.name, search), lambda: states.page(search=search, limit=_UNITS)
    )
    return visit.page(
        "what_if_unit.html", fleet=fleet, fleets=fleets, units=units, search=search, most=_UNITS
    )


def _answer(visit: Visit) -> Response:
    """Answer the part of the page that changes as sliders move."""
    try:
        found, fault = _ask(visit, _question(visit, _fleet(visit)))
    except RefusedError as err:
        found, fault = None, visit.text(err)
    return visit.page("what_if_answer.html", found=found, fault=fault)


PAGE = Page(
    routes=(get("/what-if", _show), get("/what-if/answer", _answer)),
    menu=MenuEntry(70, address("what-if"), mark("What if")),
)
