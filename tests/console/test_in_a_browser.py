"""What people do on the console, in a real browser; hostile names; services that go away."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import playwright.sync_api
import polars as pl
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from presagio.console.addresses import address
from presagio.console.watch import Watch
from presagio.fleet import load_fleets
from presagio.ingest.filing import Intake, file_object
from presagio.ingest.incoming import plan_batches
from presagio.ingest.opening import open_intake
from presagio.settings import Settings
from tests.console.browser import Browser
from tests.console.conftest import ServeConsole
from tests.console.tabs import tab_of
from tests.console.watched_fleet import DIAGNOSIS, EngineFleet, engine_fleet
from tests.e2e.chromium import DESK, PHONE, Tab, needs_chromium
from tests.engines import engine_rows
from tests.serving.replicas.relay import Relay

pytestmark = [pytest.mark.integration, needs_chromium]

_MARKUP = "</script></textarea><img src=x onerror=alert(1)>{{7*7}}%s\"'&\u202e%2F../"
# It cannot be broken into lines by blanks.
_HOSTILE = f"{_MARKUP}{'W' * 80}"


@pytest.fixture(scope="module")
def fleet(
    console_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineFleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with engine_fleet(console_settings, folder, unit=_HOSTILE, title=_HOSTILE) as fleet:
        yield fleet


@pytest.fixture
def default(console_settings: Settings) -> Iterator[Intake]:
    """Where files of the default fleet are filed."""
    fleet = load_fleets(console_settings).default
    assert fleet is not None
    intake = open_intake(fleet)
    yield intake
    intake.ledger.close()


@dataclass(frozen=True)
class _Plant:
    """A console whose lines to other services can be cut, and who works on it."""

    people: Callable[[str], Browser]
    lines: dict[str, Relay]


@pytest.fixture(scope="module")
def plant(
    serve_console: ServeConsole, console_settings: Settings, fleet: EngineFleet
) -> Iterator[_Plant]:
    known: dict[str, Browser] = {}
    assert console_settings.console_database_url is not None
    database = sa.make_url(console_settings.console_database_url.get_secret_value())
    upstream = {
        "PostgreSQL": database.port, "S3": urlsplit(str(console_settings.s3_endpoint)).port,
        "API": urlsplit(console_settings.api_url).port,
    }  # fmt: skip
    with ExitStack() as opened:
        lines = {name: opened.enter_context(Relay(port or 0)) for name, port in upstream.items()}
        there = database.set(host="127.0.0.1", port=lines["PostgreSQL"].port)
        url = SecretStr(there.render_as_string(hide_password=False))
        with pytest.MonkeyPatch.context() as patch:
            # Somebody who waits for a banner need not wait long.
            often = functools.partial(Watch, period_s=0.1)
            patch.setattr("presagio.console.services.Watch", often)
            patch.setattr("presagio.console.app._NOTICES_S", 1)
            make = opened.enter_context(
                serve_console(
                    fleets=(str(fleet.spec),), console_database_url=url,
                    s3_endpoint=f"http://127.0.0.1:{lines['S3'].port}",
                    api_url=f"http://127.0.0.1:{lines['API'].port}", console_refresh_seconds=1,
                )
            )  # fmt: skip

        def sign_in(name: str) -> Browser:
            if name not in known:
                known[name] = make()
                known[name].be(name)
            return known[name]

        yield _Plant(sign_in, lines)


@pytest.fixture
def tab(chromium: playwright.sync_api.Browser, plant: _Plant) -> Iterator[Tab]:
    tab = tab_of(chromium, plant.people("operator"))
    yield tab
    tab.page.context.close()


@pytest.fixture
def case(fleet: EngineFleet) -> int:
    """An open case of the unit with the hostile name; no other one is open."""
    alarms = fleet.watched.alarms
    for other in alarms.cases(open_only=True):
        alarms.close(other.id, "false", "test", "the next test has one of its own")
    fleet.watched.state(
        _HOSTILE, 59.0, state="alarm", label=True, probability=0.9, diagnosis=DIAGNOSIS
    )
    return fleet.watched.alarm(_HOSTILE, 45.0, mode="sensor_2", diagnosis=DIAGNOSIS)


def _press(tab: Tab, name: str) -> None:
    tab.page.get_by_role("button", name=name, exact=True).click()
    tab.page.wait_for_load_state("load")


def test_an_alarm_is_worked_on_and_what_became_of_it_is_counted(
    tab: Tab, fleet: EngineFleet, case: int
) -> None:
    helped = address("helped", fleet=fleet.name)
    tab.open(helped)
    assert "0 of 0" in tab.text()
    tab.open(address(fleet=fleet.name))
    tab.page.get_by_role("link", name=_HOSTILE).click()
    tab.page.get_by_role("link", name=f"Work on alarm {case}").click()
    _press(tab, "I have seen it")
    assert "operator has seen it." in tab.text()
    tab.page.get_by_label("Note").fill("the belt is loose")
    _press(tab, "Add the note")
    # By keyboard, as somebody does who has no mouse at hand.
    tab.page.locator("input[name=outcome]").first.focus()
    tab.page.keyboard.press("Space")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type("it stopped")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type("59")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_text("The alarm is closed; its outcome is learned from.").wait_for()
    assert "the belt is loose" in tab.text()
    # The outcome comes back through the intake, as an event.
    intake = fleet.watched.intake
    for batch in plan_batches(intake):
        for key in batch.keys:
            file_object(intake, key)
    tab.open(helped)
    assert "1 of 1" in tab.text()
    assert tab.faults() == []


def _bad_file(folder: Path) -> Path:
    """Write a file whose name, columns and values are hostile."""
    path = folder / f"<img src=x onerror=alert(1)> {'W' * 60}.csv"
    header = "Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
    header += f"Tool wear [min],<img src=x onerror=alert(2)>{'W' * 60}\n"
    bad = f"L,300,310,1500,<img src=x onerror=alert(3)>{'W' * 60},9,0\n"
    path.write_text(header + bad * 3, encoding="utf-8")
    return path


def _drop(tab: Tab, path: Path) -> None:
    """Drop a file onto the page, as from the system's own windows."""
    box = tab.page.locator("input[type=file]").bounding_box()
    assert box is not None
    devtools = tab.page.context.new_cdp_session(tab.page)
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def test_a_file_that_is_dropped_is_checked_sent_explained_and_released(
    chromium: playwright.sync_api.Browser, plant: _Plant, default: Intake, tmp_path: Path
) -> None:
    tab, path = tab_of(chromium, plant.people("operator"), width=PHONE), _bad_file(tmp_path)
    tab.open(address("files", fleet="ai4i2020"))
    tab.page.get_by_label("Fleet").first.select_option("ai4i2020")
    _drop(tab, path)
    # The verdict comes before anything is sent, and without a click.
    tab.page.get_by_text("Would be refused whole").wait_for()
    assert path.name in tab.text()
    assert tab.faults() == []
    _press(tab, "Send anyway")
    tab.page.get_by_text("Sent.").wait_for()
    receipt = file_object(default, f"incoming/{path.name}")
    assert receipt is not None
    assert receipt.outcome.verdict == "quarantined"
    # It appears by itself on the page that is open.
    tab.page.get_by_role("link", name=path.name).click(timeout=10_000)
    tab.page.wait_for_load_state("load")
    assert "Too many bad rows" in tab.text()
    assert "<img src=x onerror=alert(3)>" in tab.text()
    assert tab.faults() == []
    tab.page.get_by_label("Why may training go on without it?").fill("sensor off")
    _press(tab, "Release")
    assert "Released: training goes on without this file." in tab.text()


@pytest.mark.parametrize(("width", "language"), [(PHONE, "en"), (DESK, "es")])
def test_hostile_names_are_only_names_and_pages_with_data_are_for_everybody(
    width: int, language: str, chromium: playwright.sync_api.Browser, plant: _Plant,
    fleet: EngineFleet, case: int,
) -> None:  # fmt: skip
    """No script of theirs runs, none widens a page, and axe-core finds nothing."""
    quoted = _HOSTILE.replace('"', '""')
    fleet.watched.log(f"{language}.csv", f'"{quoted}",0.{width},repair')
    # Another test may have ended this unit's life: it has begun another one.
    newest = engine_rows(1, seed=width).head(1)
    newest = newest.with_columns(unit=pl.lit(_HOSTILE), cycle=pl.lit(1000 + width))
    fleet.watched.file(f"{language}-newest.csv", newest)
    unit = address("units", fleet.name, _HOSTILE)
    tab = tab_of(chromium, plant.people("operator"), width=width, language=language)
    found = {}
    for page in (
        address(fleet=fleet.name), unit, address("alarms", fleet=fleet.name),
        address("alarms", str(case)), address("what-if", fleet=fleet.name, unit=_HOSTILE),
    ):  # fmt: skip
        tab.open(page)
        assert _HOSTILE in tab.text()
        assert tab.page.get_attribute("html", "lang") == language
        found[page] = tab.faults()
    assert found == {page: [] for page in found}
    tab.open(unit)
    # The charts are drawn, and each has its table.
    drawn = tab.page.locator("figure .plot canvas").count()
    assert drawn == tab.page.locator("figure").count() > 2
    tab.page.context.close()


_SHOWN = {
    "PostgreSQL": ("What is shown here was true at", "Work on alarm"),
    # What was read of files is in memory, and as true as before.
    "S3": ("Work on alarm",),
    "API": ("Work on alarm",),
}


@pytest.mark.parametrize("service", _SHOWN)
def test_what_does_not_answer_is_named_with_since_when_and_pages_still_come(
    service: str, tab: Tab, plant: _Plant, fleet: EngineFleet, case: int
) -> None:
    unit, banner = address("units", fleet.name, _HOSTILE), f"{service} has not answered since"
    tab.open(address("alarms", str(case)))
    tab.open(unit)
    assert banner not in tab.text()
    plant.lines[service].cut.set()
    try:
        # On the page that is open, by itself.
        tab.page.get_by_text(banner).wait_for(timeout=15_000)
        tab.open(unit)
        for text in (banner, *_SHOWN[service], "Readings over time"):
            assert text in tab.text()
        assert tab.page.locator("figure .plot").count() > 2
        if service == "PostgreSQL":
            assert tab.faults() == []
            tab.open(address("alarms", str(case)))
            _press(tab, "I have seen it")
            assert "This cannot be shown now" in tab.text()
    finally:
        plant.lines[service].cut.clear()
    assert fleet.watched.alarms.case(case).acknowledged_by is None
    tab.page.get_by_text(banner).wait_for(state="detached", timeout=15_000)
    tab.open(unit)
    assert "What is shown here was true at" not in tab.text()
