"""The first page: which units need somebody, of all fleets, the worst first."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from presagio import machine
from presagio.settings import Settings
from presagio.storage.database import open_database
from tests.console.browser import Browser
from tests.console.conftest import ServeConsole

pytestmark = pytest.mark.integration

AddUnit = Callable[..., None]


@pytest.fixture
def add_unit(console_settings: Settings) -> Iterator[AddUnit]:
    """Put states of units of the default fleet into the ledger, as the scoring job does."""
    engine, added = open_database(console_settings), list[str]()

    def add(unit: str, state: str, probability: float = 0.5, **more: Any) -> None:
        silent = more.pop("silent", timedelta(0))
        row = {
            "fleet": "", "unit": unit, "state": state, "probability": probability,
            "score": 0.0, "label": state != "well", "receipt_id": 1, "model": "m", "version": "1",
            "memory": "{}", **more,
        }  # fmt: skip
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO unit_states ({names}, updated_at) "  # noqa: S608 - its columns
                    f"VALUES ({values}, now() - :silent)"
                ),
                {**row, "silent": silent},
            )
        added.append(unit)

    yield add
    with engine.begin() as connection:
        connection.execute(
            sa.text("DELETE FROM unit_states WHERE unit = ANY(:units)"), {"units": added}
        )
    engine.dispose()


@pytest.fixture
def viewer(signed_in: Callable[[str], Browser]) -> Browser:
    return signed_in("viewer")


def test_units_are_listed_the_worst_first(viewer: Browser, add_unit: AddUnit) -> None:
    add_unit("pump 1", "well", 0.01)
    add_unit("pump 2", "watch", 0.6)
    add_unit("pump 3", "alarm", 0.97, mode="tool wear", remaining_life=12.5, remaining_low=9.0,
             remaining_high=16.0)  # fmt: skip
    add_unit("pump 4", "watch", 0.8)
    page = viewer.get("/").text
    places = [page.index(f"pump {number}</a>") for number in (3, 4, 2, 1)]
    assert places == sorted(places)
    assert "tool wear" in page
    assert "97 %" in page
    assert "12.5" in page
    assert "4 units" in page


def test_what_is_expected_and_when_is_written_for_people(
    serve_console: ServeConsole, add_unit: AddUnit
) -> None:
    add_unit("mill", "alarm", mode="twf")
    raw = "2026-11-28T16:00:00+00:00"
    add_unit("engine", "alarm", fleet="demo_engines", reading_time=1_795_881_600e6, reading_at=raw,
             remaining_life=3.25)  # fmt: skip
    with (
        as_file(files(machine) / "specs" / "demo_engines.toml") as spec,
        serve_console(fleets=(str(spec),)) as make,
    ):
        browser = make()
        browser.be("viewer")
        page = browser.get("/").text
        spanish = browser.get("/", **{"Accept-Language": "es"}).text
    assert raw not in page
    for text in ("Tool wear failure", "28 Nov 2026, 16:00", "3.25 days"):
        assert text in page
    for text in ("Fallo por desgaste de la herramienta", "28 nov 2026, 16:00", "3,25 días"):
        assert text in spanish


def test_a_fleet_at_fault_is_named_in_the_language_of_who_reads_it(
    serve_console: ServeConsole, tmp_path: Path
) -> None:
    spec = tmp_path / "kilns.toml"
    spec.write_text('name = "kilns"\ntitle = "K"\n[target]\nname = "y"\n', encoding="utf-8")
    with serve_console(fleets=(str(spec),)) as make:
        browser = make()
        browser.be("viewer")
        page = browser.get("/").text
        spanish = browser.get("/", **{"Accept-Language": "es"}).text
    assert f"machine spec {spec} is not valid:\n  features: is missing" in page
    assert f"la especificación de la máquina {spec} no es válida:\n  features: falta" in spanish


def test_a_unit_that_is_silent_has_no_data_but_an_alarm_stays(
    viewer: Browser, add_unit: AddUnit
) -> None:
    add_unit("silent one", "well", silent=timedelta(days=3))
    add_unit("silent alarm", "alarm", silent=timedelta(days=3))
    without = viewer.get("/?state=no+data").text
    assert "silent one" in without
    assert "silent alarm" not in without
    assert "silent alarm" in viewer.get("/?state=alarm").text


def test_units_are_searched_and_filtered(viewer: Browser, add_unit: AddUnit) -> None:
    add_unit("Mill A", "watch")
    add_unit("Mill B", "well")
    add_unit("Press", "watch")
    found = viewer.get("/?search=mill&state=watch").text
    assert "Mill A" in found
    assert "Mill B" not in found
    assert "Press" not in found
    assert "Mill A" in viewer.get("/?fleet=ai4i2020").text
    assert "No unit is like this." in viewer.get("/?fleet=none").text
    # What is no state filters nothing.
    assert "Press" in viewer.get("/?state=nonsense").text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "%_", "a' OR '1'='1", "ü/ö?"])
def test_any_unit_can_be_found_and_is_text(name: str, viewer: Browser, add_unit: AddUnit) -> None:
    add_unit(name, "watch")
    add_unit("another", "watch")
    page = viewer.client.get("/", params={"search": name}).text
    assert "<script>alert" not in page
    assert "another" not in page
    assert "1 unit<" in page.replace("1 unit\n", "1 unit<")


def test_an_open_page_asks_for_what_is_new(viewer: Browser, add_unit: AddUnit) -> None:
    add_unit("first", "watch")
    part = viewer.get("/shift/units")
    tag = part.headers["etag"]
    assert tag.strip('"') in viewer.get("/").text
    same = viewer.get("/shift/units", **{"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    add_unit("second", "alarm")
    newer = viewer.get("/shift/units", **{"If-None-Match": tag})
    assert newer.status_code == 200
    assert "second" in newer.text
    assert "<html" not in newer.text


def test_without_units_the_page_says_what_to_do(viewer: Browser) -> None:
    page = viewer.get("/").text
    assert "No unit has been scored yet" in page
    assert "presagio ingest" in page
