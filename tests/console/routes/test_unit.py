"""The page of a unit: what to do, its readings, its past; hostile names are only names."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import polars as pl
import pytest

from presagio.console.addresses import address
from tests.console.browser import Browser
from tests.console.conftest import ServeConsole
from tests.console.watched_fleet import DIAGNOSIS, EngineFleet
from tests.engines import engine_rows

pytestmark = pytest.mark.integration

_HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202e../a/b\n%s%(x)s{{7*7}}"


@pytest.fixture(scope="module")
def browser(serve_console: ServeConsole, fleet: EngineFleet) -> Iterator[Browser]:
    with serve_console(fleets=(str(fleet.spec),)) as make:
        browser = make()
        browser.sign_in("viewer")
        yield browser


def _series(page: str) -> list[dict[str, Any]]:
    """Return what the script of a page draws."""
    parts = page.split('data-series="')[1:]
    return [json.loads(unescape(part.partition('"')[0])) for part in parts]


def test_it_says_what_to_do_and_draws_readings_with_what_was_said_of_them(
    browser: Browser, fleet: EngineFleet
) -> None:
    fleet.watched.state(
        "1", 59.0, state="alarm", label=True, probability=0.59, diagnosis=DIAGNOSIS,
        remaining_life=66.0,
    )  # fmt: skip
    number = fleet.watched.alarm("1", 50.0, diagnosis=DIAGNOSIS)
    fleet.watched.log("a.csv", "1,0.5,repair", "2,9,failure")
    page = browser.get(address("units", fleet.name, "1")).text
    assert "A failure is expected within 30 cycle." in page
    assert "sensor_2 has fallen by 3.5 °C in 30 cycle." in page
    assert f"Work on alarm {number}" in page
    assert "readings.csv" in page
    probability, remaining, *sensors = _series(page)
    assert probability["x"] == list(range(1, 60))
    assert not probability["dates"]
    line, says, threshold = probability["lines"]
    assert line["values"][:2] == [1.0, 2.0]
    assert says["values"].index(50.0) == 49
    assert threshold["kind"] == "limit"
    assert set(threshold["values"]) == {50.0}
    assert probability["marks"] == [{"x": 50.0, "kind": "alarm", "label": "alarm"}]
    assert [each["kind"] for each in remaining["lines"]] == ["low", "high", "line"]
    assert len(sensors) == 6
    # Of about 100 K.
    assert "<figcaption>sensor_2 [°C]</figcaption>" in page
    assert all(-190 < value < -160 for value in sensors[0]["lines"][0]["values"])
    assert "Show 8 more features" in page
    assert len(_series(browser.get(address("units", fleet.name, "1", all=1)).text)) == 16
    # The repair was before the first reading; the failure was another unit's.
    print(page.partition('id="repairs"')[2][:900])
    assert page.count('<td data-label="What">Repair</td>') == 1
    assert '<td data-label="What">Failure</td>' not in page
    few = browser.get(address("units", fleet.name, "1", count=500, until="20.0")).text
    assert _series(few)[0]["x"] == list(range(1, 21))


def test_it_is_there_in_spanish(browser: Browser, fleet: EngineFleet) -> None:
    fleet.watched.state("2", 59.0, state="watch", probability=0.25, diagnosis=DIAGNOSIS)
    page = browser.get(address("units", fleet.name, "2"), **{"Accept-Language": "es"}).text
    assert "Se espera un fallo en un plazo de 30 ciclos." in page
    assert "«Sensor 2» ha bajado 3,5 °C en 30 ciclos." in page
    assert "25 %" in page
    # In the table behind the chart.
    assert re.search(r">-17\d,\d<", page.partition("Sensor 2 [°C]")[2])


@pytest.mark.parametrize("name", [_HOSTILE, "x" * 10_000, " ", ".."])
def test_a_hostile_name_is_only_a_name(browser: Browser, fleet: EngineFleet, name: str) -> None:
    rows = engine_rows(1).head(3).with_columns(unit=pl.lit(name))
    fleet.watched.state(name, 3.0, probability=0.1)
    if len(name) < 1000 and name.strip():
        fleet.watched.file(f"{hash(name)}.csv", rows)
    answer = browser.get(address("units", fleet.name, name))
    assert answer.status_code == (200 if len(name) < 1000 else answer.status_code)
    assert answer.status_code in {200, 404, 414}
    assert "<img" not in answer.text
    assert "49" not in answer.text.partition("<main")[2].partition("<h2")[0]


@pytest.mark.parametrize(
    "query", ["until=nan", "until=inf", "until=x", "count=-1", "count=" + "9" * 500, "all=%00"]
)
def test_a_hostile_query_harms_nothing(browser: Browser, fleet: EngineFleet, query: str) -> None:
    answer = browser.get(f"{address('units', fleet.name, '1')}?{query}")
    assert answer.status_code in {200, 400}


def test_nothing_is_shown_of_a_unit_or_fleet_that_is_not_known(
    browser: Browser, fleet: EngineFleet
) -> None:
    missing = browser.get(address("units", fleet.name, "nobody <b>"))
    assert missing.status_code == 404
    assert "has no unit with the name nobody &lt;b&gt;." in missing.text
    assert browser.get(address("units", "no_fleet", "1")).status_code == 404


def test_without_the_store_what_the_ledger_knows_is_shown(
    serve_console: ServeConsole, fleet: EngineFleet
) -> None:
    fleet.watched.state("2", 59.0, state="watch", probability=0.25, diagnosis=DIAGNOSIS)
    away = {"s3_endpoint": "http://127.0.0.1:9", "fleets": (str(fleet.spec),)}
    with serve_console(**away) as make:
        browser = make()
        browser.sign_in("viewer")
        page = browser.get(address("units", fleet.name, "2"))
    assert page.status_code == 200
    assert "The readings cannot be shown now." in page.text
    assert "A failure is expected within 30 cycle." in page.text


def test_a_machine_without_units_has_no_page_for_them(browser: Browser) -> None:
    assert browser.get(address("units", "ai4i2020", "1")).status_code == 404
