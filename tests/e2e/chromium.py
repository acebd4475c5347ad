"""A real browser on the console, which notes what no page may do."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

PHONE, DESK = 390, 1280
_HEIGHT = 900
_PROGRAM = "/usr/bin/chromium"
needs_chromium = pytest.mark.skipif(not Path(_PROGRAM).exists(), reason="chromium is not installed")
# Levels of WCAG 2.2 that every page meets, and what else is good practice.
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@dataclass
class Tab:
    """A tab of the browser.

    Attributes
    ----------
    elsewhere
        Requests to other hosts than the console.
    refused
        What the page's policy has refused, and errors of its scripts.
    """

    page: Page
    origin: str
    elsewhere: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        host = urlsplit(self.origin).netloc
        self.page.on("request", lambda asked: self._note(asked.url, host))
        self.page.on("pageerror", lambda err: self.refused.append(str(err)))
        self.page.on("console", lambda said: self._hear(said.text))

    def _note(self, url: str, host: str) -> None:
        if urlsplit(url).scheme != "data" and urlsplit(url).netloc != host:
            self.elsewhere.append(url)

    def _hear(self, text: str) -> None:
        if "Content Security Policy" in text or "Content-Security-Policy" in text:
            self.refused.append(text)

    def open(self, address: str) -> None:
        self.page.goto(f"{self.origin}{address}", wait_until="load")

    def text(self) -> str:
        return self.page.inner_text("body")

    def sign_in(self, name: str, password: str) -> None:
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", password)
        self.page.click("main button")
        self.page.wait_for_load_state("load")

    def faults(self) -> list[str]:
        """What is wrong with the page that is shown."""
        found = [f"asks {url}" for url in self.elsewhere] + self.refused
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            found.append(f"scrolls sideways by {wide} pixels")
        # Through the browser's tool, which the policy does not concern.
        results = Axe().run(self.page, options=_RULES).response
        assert results["passes"]
        found += [
            f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
            for rule in results["violations"]
            for node in rule["nodes"]
        ]
        return found

    def picture(self, largest: int) -> bytes:
        """Take a picture of what is seen, in WebP, as good as this number of bytes allows."""
        # Playwright's own pictures are PNG and JPEG: larger, or with fringes around letters.
        devtools = self.page.context.new_cdp_session(self.page)
        for quality in (85, 75, 65, 50, 35, 20):
            taken = devtools.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
            picture = base64.b64decode(taken["data"])
            if len(picture) <= largest:
                break
        assert len(picture) <= largest
        return picture


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's browser, as root too."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_PROGRAM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def open_tab(
    browser: Browser, origin: str, *, width: int = DESK, language: str = "en", **options: object
) -> Tab:
    """Open a tab of a visitor of their own."""
    context = browser.new_context(
        viewport={"width": width, "height": _HEIGHT},
        locale=language,
        **options,  # type: ignore[arg-type]
    )
    return Tab(context.new_page(), origin)
