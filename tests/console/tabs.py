"""Tabs of a real browser, of people who are signed in."""

import playwright.sync_api

from tests.console.browser import Browser
from tests.e2e.chromium import Tab, open_tab


def tab_of(chromium: playwright.sync_api.Browser, visitor: Browser, **options: object) -> Tab:
    """Open a tab with the cookies of a visitor: passwords take long to verify."""
    origin = str(visitor.client.base_url).rstrip("/")
    tab = open_tab(chromium, origin, **options)  # type: ignore[arg-type]
    tab.page.context.add_cookies(
        [{"name": c.name, "value": str(c.value), "url": origin} for c in visitor.client.cookies.jar]
    )
    return tab
