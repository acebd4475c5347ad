"""Alarms as cases: who looks after which, what happened, and what it was in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from starlette.responses import Response

from presagio.console.addresses import address
from presagio.console.catalogue import mark
from presagio.console.problems import RefusedError
from presagio.console.routing import MenuEntry, Page, get, post
from presagio.console.series_view import Times
from presagio.console.visit import Visit
from presagio.console.wording import write_all
from presagio.errors import ConflictError, DataError, NotFoundError
from presagio.fleet import Fleet
from presagio.inference.diagnosis_words import describe, title_of
from presagio.jobs.alarms import close_alarm
from presagio.sentences import Count, Sentence
from presagio.storage.alarm_entries import AlarmEntry, HumanOutcome
from presagio.storage.alarms import SCOPE, AlarmCase, Alarms

_PER_PAGE = 100
_LONGEST_TEXT, _LONGEST_NAME = 2000, 200
_LARGEST_NUMBER = 2**63 - 1
OUTCOMES: tuple[HumanOutcome, ...] = ("failure", "repair", "false")


@dataclass(frozen=True)
class _Filter:
    """What the visitor wants to see."""

    fleet: str
    every: bool
    before: int | None

    @classmethod
    def of(cls, visit: Visit) -> "_Filter":
        before = visit.query("before")
        return cls(visit.query("fleet"), visit.query("show") == "all", _as_number(before))


@dataclass(frozen=True)
class _Case:
    """A case with its fleet, and what happened to it."""

    fleet: Fleet
    case: AlarmCase
    entries: tuple[AlarmEntry, ...] = ()

    def mode(self, language: str) -> str:
        """Return the title of the failure mode; empty where none is named."""
        return title_of(self.fleet.spec, language)(self.case.mode)


def _as_number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None  # noqa: PLR2004
    return None if number is None or number > _LARGEST_NUMBER else number


def _alarms(visit: Visit, fleet: Fleet) -> Alarms:
    return Alarms(visit.services.engine, fleet.settings.fleet)


def _list(visit: Visit, wanted: _Filter) -> tuple[list[_Case], bool]:
    """Return cases, the newest first, and whether there are older ones."""
    found: list[_Case] = []
    for fleet in visit.services.fleets.by_name.values():
        if wanted.fleet in {"", fleet.name}:
            cases = _alarms(visit, fleet).cases(
                open_only=not wanted.every, before=wanted.before, limit=_PER_PAGE + 1
            )
            found += [_Case(fleet, case) for case in cases]
    found.sort(key=lambda each: -each.case.id)
    return found[:_PER_PAGE], len(found) > _PER_PAGE


def _show_list(visit: Visit) -> Response:
    wanted = _Filter.of(visit)
    cases, more = visit.read(("alarms", wanted), lambda: _list(visit, wanted))
    older = None
    if more:
        older = address(
            "alarms", fleet=wanted.fleet, show="all" if wanted.every else None,
            before=cases[-1].case.id,
        )  # fmt: skip
    fleets = list(visit.services.fleets.by_name)
    return visit.page("alarms.html", cases=cases, wanted=wanted, older=older, fleets=fleets)


def _find(visit: Visit) -> _Case:
    """Return the case that the address names, of whichever fleet.

    Raises
    ------
    NotFoundError
        If no fleet has one of this number.
    """
    number = _as_number(visit.part("number"))
    if number is not None:
        for fleet in visit.services.fleets.by_name.values():
            alarms = _alarms(visit, fleet)
            try:
                return _Case(fleet, alarms.case(number), tuple(alarms.entries(number)))
            except NotFoundError:
                continue
    raise NotFoundError(Sentence("There is no alarm of this number."))


def _case_page(
    visit: Visit, found: _Case, status: HTTPStatus = HTTPStatus.OK, fault: str = ""
) -> Response:
    spec, case = found.fleet.spec, found.case
    diagnosis = case.diagnosis
    units = visit.show.units_of(spec)
    words = describe(spec, diagnosis, visit.language, units).all if diagnosis else ()
    at = case.reading_at
    if spec.time is not None and case.reading_time is not None:
        at = Times(visit.show, spec.time).written(case.reading_time)
    closing = next((entry for entry in found.entries if entry.kind == "closed"), None)
    why_closed = case.why or ""
    if closing is not None and closing.sentence is not None:
        why_closed = visit.text(closing.sentence)
    return visit.page(
        "alarm.html", status, found=found, case=case, why_closed=why_closed,
        words=write_all(visit.show, words), at=at,
        fault=fault, may=visit.may(SCOPE), outcomes=OUTCOMES, filled=visit.form,
        longest=_LONGEST_TEXT, longest_name=_LONGEST_NAME,
    )  # fmt: skip


def _show(visit: Visit) -> Response:
    found = visit.read(("alarm", visit.part("number")), lambda: _find(visit))
    return _case_page(visit, found)


def _field(visit: Visit, name: str, longest: int, missing: str) -> str:
    """Return a field that has to be filled in.

    Raises
    ------
    RefusedError
        If it is empty, or longer than that.
    """
    text = visit.form.text(name)
    if not text:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, Sentence(missing))
    if len(text) > longest:
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            Sentence("At most %(most)s characters are taken.", {"most": Count(longest)}),
        )
    return text


def _changing(change: Callable[[Visit, _Case], str]) -> Callable[[Visit], Response]:
    """Return what changes a case and shows it again; what is wrong is said on its page."""

    def answer(visit: Visit) -> Response:
        found = _find(visit)
        try:
            done = change(visit, found)
        except ConflictError:
            # Somebody was quicker: the page shows who, and with which outcome.
            fault = visit.translate(
                mark("This alarm has been closed meanwhile. Nothing was changed.")
            )
            return _case_page(visit, _find(visit), HTTPStatus.CONFLICT, fault)
        except RefusedError as err:
            return _case_page(visit, found, err.status, visit.text(err))
        except DataError as err:
            return _case_page(visit, found, HTTPStatus.UNPROCESSABLE_ENTITY, visit.text(err))
        return visit.go(address("alarms", str(found.case.id)), done)

    return answer


def _acknowledge(visit: Visit, found: _Case) -> str:
    _alarms(visit, found.fleet).acknowledge(found.case.id, visit.who)
    return "alarm-acknowledged"


def _assign(visit: Visit, found: _Case) -> str:
    to = _field(visit, "to", _LONGEST_NAME, mark("Name who is to look after it."))
    _alarms(visit, found.fleet).assign(found.case.id, visit.who, to)
    return "alarm-assigned"


def _note(visit: Visit, found: _Case) -> str:
    text = _field(visit, "text", _LONGEST_TEXT, mark("The note is empty."))
    _alarms(visit, found.fleet).note(found.case.id, visit.who, text)
    return "alarm-noted"


def _close(visit: Visit, found: _Case) -> str:
    given = visit.form.text("outcome")
    outcome = next((known for known in OUTCOMES if known == given), None)
    if outcome is None:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, Sentence("Choose what it was."))
    why = _field(visit, "why", _LONGEST_TEXT, mark("Say in a few words what was found."))
    close_alarm(
        visit.services.intake(found.fleet), found.case.id, outcome, who=visit.who, why=why,
        at=visit.form.text("at") or None,
    )  # fmt: skip
    return "alarm-closed"


PAGE = Page(
    routes=(
        get("/alarms", _show_list),
        get("/alarms/{number}", _show),
        post("/alarms/{number}/acknowledge", _changing(_acknowledge)),
        post("/alarms/{number}/assign", _changing(_assign)),
        post("/alarms/{number}/note", _changing(_note)),
        post("/alarms/{number}/close", _changing(_close)),
    ),
    menu=MenuEntry(20, address("alarms"), mark("Alarms")),
    messages=MappingProxyType({
        "alarm-acknowledged": mark("You have acknowledged the alarm."),
        "alarm-assigned": mark("The alarm is assigned."),
        "alarm-noted": mark("The note is added."),
        "alarm-closed": mark("The alarm is closed; its outcome is learned from."),
    }),
)  # fmt: skip
