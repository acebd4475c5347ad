"""The pictures of both READMEs: pages of the console, of a fleet that was filed and scored.

``TEST_PICTURES=1`` writes them into ``docs/images``; the nightly run takes them and keeps none.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import playwright.sync_api
import pytest

from presagio.console.addresses import address
from presagio.settings import Settings
from tests.console.browser import Browser
from tests.console.compressors import NAME, Compressors, compressors
from tests.console.conftest import ServeConsole
from tests.console.tabs import tab_of
from tests.e2e.chromium import DESK, PHONE, needs_chromium
from tests.extent import NIGHTLY, PICTURES

pytestmark = [
    pytest.mark.integration, pytest.mark.slow, needs_chromium,
    pytest.mark.skipif(not (NIGHTLY or PICTURES), reason="TEST_PICTURES is not set"),
]  # fmt: skip

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
# As much as a README may take to load.
_LARGEST = 60_000


@pytest.fixture(scope="module")
def plant(
    console_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compressors]:
    with compressors(console_settings, tmp_path_factory.mktemp("plant")) as plant:
        yield plant


@pytest.fixture(scope="module")
def technician(serve_console: ServeConsole, plant: Compressors) -> Iterator[Browser]:
    with serve_console(fleets=(str(plant.spec),)) as make:
        browser = make()
        browser.be("operator")
        yield browser


def _unit(plant: Compressors) -> str:
    return address("units", NAME, plant.worst)


# What each is of, how wide and high it is, and how many charts are to be drawn at least.
_PAGES: dict[str, tuple[Callable[[Compressors], str], int, int, int]] = {
    "shift": (lambda _: address(), DESK, 860, 0),
    "unit": (_unit, DESK, 1040, 4),
    "phone": (_unit, PHONE, 844, 0),
}


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("name", _PAGES)
def test_a_picture_is_taken(
    name: str, language: str, chromium: playwright.sync_api.Browser, technician: Browser,
    plant: Compressors, tmp_path: Path,
) -> None:  # fmt: skip
    page, width, height, charts = _PAGES[name]
    tab = tab_of(chromium, technician, width=width, language=language)
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.open(page(plant))
    assert tab.page.get_by_text(plant.worst).first.is_visible()
    assert tab.page.locator("figure .plot canvas").count() >= charts
    picture = tab.picture(_LARGEST)
    suffix = "" if language == "en" else f".{language}"
    folder = _IMAGES if PICTURES else tmp_path
    (folder / f"console-{name}{suffix}.webp").write_bytes(picture)
    tab.page.context.close()
