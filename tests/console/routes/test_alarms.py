"""Alarms are worked on as cases: who may, what is kept, and what comes where two do it at once."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from presagio.console.addresses import address
from presagio.ingest.incoming import plan_batches
from presagio.storage.audit import AuditLog
from tests.console.browser import Browser, forms_of
from tests.console.conftest import ServeConsole
from tests.console.watched_fleet import DIAGNOSIS, EngineFleet

pytestmark = pytest.mark.integration

_HOSTILE = "</textarea><script>alert(1)</script>\"'%s%(who)s\u202e"


@pytest.fixture(scope="module")
def people(serve_console: ServeConsole, fleet: EngineFleet) -> Iterator[Callable[[str], Browser]]:
    known: dict[str, Browser] = {}
    with serve_console(fleets=(str(fleet.spec),)) as make:

        def sign_in(name: str) -> Browser:
            if name not in known:
                known[name] = make()
                known[name].be(name)
            return known[name]

        yield sign_in


@pytest.fixture
def browser(people: Callable[[str], Browser]) -> Browser:
    return people("operator")


@pytest.fixture
def case(fleet: EngineFleet) -> int:
    """An open case; no other is open."""
    alarms = fleet.watched.alarms
    for other in alarms.cases(open_only=True):
        alarms.close(other.id, "false", "test", "the next test has one of its own")
    fleet.watched.state("1", 59.0, state="alarm", label=True, probability=0.9)
    return fleet.watched.alarm("1", 50.0, diagnosis=DIAGNOSIS)


def _do(browser: Browser, case: int, what: str, **fields: str) -> httpx.Response:
    page = browser.get(address("alarms", str(case)))
    return browser.submit(page, address("alarms", str(case), what), **fields)


def test_open_cases_are_listed_and_closed_ones_when_asked_for(
    browser: Browser, fleet: EngineFleet, case: int
) -> None:
    link = f'href="{address("alarms", str(case))}"'
    assert link in browser.get(address("alarms", fleet=fleet.name)).text
    fleet.watched.alarms.close(case, "false", "ana", "nothing")
    assert link not in browser.get(address("alarms", fleet=fleet.name)).text
    every = browser.get(address("alarms", fleet=fleet.name, show="all")).text
    assert link in every
    assert "False alarm" in every
    assert link not in browser.get(address("alarms", show="all", before=case)).text


def test_a_case_is_acknowledged_assigned_noted_and_closed_with_its_outcome(
    browser: Browser, fleet: EngineFleet, case: int
) -> None:
    assert "You have acknowledged the alarm." in _do(browser, case, "acknowledge").text
    assert "operator has seen it." in browser.get(address("alarms", str(case))).text
    assert "operator assigned it to rosa." in _do(browser, case, "assign", to="rosa").text
    assert "the belt is loose" in _do(browser, case, "note", text="the belt is loose").text
    closed = _do(browser, case, "close", outcome="failure", why="it stopped", at="58")
    assert "The alarm is closed; its outcome is learned from." in closed.text
    assert "It failed" in closed.text
    assert not [a for a, _ in forms_of(closed) if a.startswith("/alarms/")]
    found = fleet.watched.alarms.case(case)
    assert (found.acknowledged_by, found.assigned_to) == ("operator", "rosa")
    assert (found.outcome, found.closed_by, found.why) == ("failure", "operator", "it stopped")
    entries = AuditLog(fleet.watched.engine).entries(target=f"alarm {case}")
    assert [(entry.action, entry.who, entry.scope) for entry in entries] == [
        ("alarm.close", "operator", "operate"), ("alarm.note", "operator", "operate"),
        ("alarm.assign", "operator", "operate"), ("alarm.acknowledge", "operator", "operate"),
    ]  # fmt: skip
    # The failure goes through the intake, and is learned from.
    keys = [key for batch in plan_batches(fleet.watched.intake) for key in batch.keys]
    assert [key for key in keys if f"/events/alarm-{case}-" in key]


def test_what_somebody_else_has_closed_meanwhile_is_said_plainly(
    browser: Browser, fleet: EngineFleet, case: int
) -> None:
    page = browser.get(address("alarms", str(case)))
    fleet.watched.alarms.close(case, "repair", "ana", "bearing replaced")
    for what, fields in {
        "close": {"outcome": "false", "why": "nothing"}, "acknowledge": {}, "note": {"text": "x"},
    }.items():  # fmt: skip
        answer = browser.submit(page, address("alarms", str(case), what), **fields)
        assert answer.status_code == 409
        assert "This alarm has been closed meanwhile. Nothing was changed." in answer.text
        assert "Closed by ana on" in answer.text
        assert "bearing replaced" in answer.text
    assert fleet.watched.alarms.case(case).outcome == "repair"


@pytest.mark.parametrize(
    ("what", "fields", "words"),
    [
        ("close", {"outcome": "failure", "why": " "}, "Say in a few words what was found."),
        ("close", {"outcome": "quiet", "why": "x"}, "Choose what it was."),
        ("close", {"outcome": "", "why": "x"}, "Choose what it was."),
        ("close", {"outcome": "repair", "why": "x", "at": "soon"}, "is no time of cycle"),
        ("close", {"outcome": "false", "why": "x" * 2001}, "At most 2,000 characters"),
        ("assign", {"to": ""}, "Name who is to look after it."),
        ("assign", {"to": "x" * 201}, "At most 200 characters"),
        ("note", {"text": "\n"}, "The note is empty."),
    ],
)
def test_what_is_missing_or_too_long_is_said_and_nothing_is_lost(
    browser: Browser, fleet: EngineFleet, case: int, what: str, fields: dict[str, str], words: str
) -> None:
    answer = _do(browser, case, what, **fields)
    assert answer.status_code == 422
    assert words in answer.text
    assert fleet.watched.alarms.case(case).is_open
    if "why" in fields and fields["why"].strip():
        assert fields["why"] in answer.text


def test_who_may_only_look_sees_no_forms_and_changes_nothing(
    people: Callable[[str], Browser], fleet: EngineFleet, case: int
) -> None:
    browser, where = people("viewer"), address("alarms", str(case))
    page = browser.get(where)
    assert "to work on alarms it needs the scope operate" in page.text
    token = forms_of(page)[0][1]
    answer = browser.post(f"{where}/close", {**token, "outcome": "false", "why": "x"})
    assert answer.status_code == 403
    assert fleet.watched.alarms.case(case).is_open


def test_text_of_people_is_only_text(browser: Browser, fleet: EngineFleet, case: int) -> None:
    for what, field in (("note", "text"), ("assign", "to")):
        answer = _do(browser, case, what, **{field: _HOSTILE})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
    assert fleet.watched.alarms.case(case).assigned_to == _HOSTILE


@pytest.mark.parametrize("number", ["0", "x", "-1", "9" * 30, "1%2F..", "٣"])
def test_a_number_that_no_case_has_is_not_found(browser: Browser, number: str) -> None:
    answer = browser.get(f"/alarms/{number}")
    assert answer.status_code == 404
    assert "There is no alarm of this number." in answer.text
