"""Did it help? The page counts what became of alarms, and says what nobody can know."""

from collections.abc import Callable, Iterator

import pytest

from presagio.console.addresses import address
from tests.console.browser import Browser
from tests.console.conftest import ServeConsole
from tests.console.watched_fleet import EngineFleet

pytestmark = pytest.mark.integration


@pytest.fixture
def browser(serve_console: ServeConsole, fleet: EngineFleet) -> Iterator[Browser]:
    with serve_console(fleets=(str(fleet.spec),)) as make:
        browser = make()
        browser.sign_in("viewer")
        yield browser


def test_an_outcome_changes_what_is_counted(browser: Browser, fleet: EngineFleet) -> None:
    where = address("helped", fleet=fleet.name)
    assert "No alarm was given yet" in browser.get(where).text
    # Without a name it is the first fleet whose units can have alarms.
    assert "No alarm was given yet" in browser.get("/helped").text
    caught, other = fleet.watched.alarm("1", 45.0), fleet.watched.alarm("2", 45.0)
    fleet.watched.state("2", 59.0)
    assert "Of 2 alarms it cannot be known yet." in browser.get(where).text
    fleet.watched.log("a.csv", "1,59,failure", "2,0.5,failure")
    fleet.watched.alarms.close(other, "false", "ana", "nothing")
    page = browser.get(where).text
    assert "1 of 1" in page
    assert "1 of 2" in page
    assert "1 failure does not count" in page
    assert '<td data-label="Lead time [cycle]: median (quartiles)" class="number">14 ' in page
    assert "horizons (of 30)" in page
    assert fleet.watched.alarms.case(caught).is_open
    spanish = browser.get(where, **{"Accept-Language": "es"}).text
    assert "1 fallo no cuenta" in spanish


def test_a_machine_without_units_has_nothing_to_count(
    signed_in: Callable[[str], Browser],
) -> None:
    browser = signed_in("viewer")
    assert "name no unit and no time" in browser.get("/helped").text
    assert "name no unit and no time" in browser.get("/helped?fleet=ai4i2020").text
    assert browser.get("/helped?fleet=no_fleet").status_code == 404
