"""Sign-in by an identity provider of another site, in a real browser with its rules on cookies."""

from collections.abc import Callable, Iterator

import playwright.sync_api
import pytest

from tests.console.browser import Browser
from tests.console.conftest import ServeConsole
from tests.console.identity_provider import IdentityProvider
from tests.e2e.chromium import needs_chromium, open_tab

pytestmark = [pytest.mark.integration, needs_chromium]


@pytest.fixture(scope="module")
def there() -> Iterator[IdentityProvider]:
    with IdentityProvider() as there:
        there.asks = True
        yield there


@pytest.fixture(scope="module")
def make(serve_console: ServeConsole, there: IdentityProvider) -> Iterator[Callable[[], Browser]]:
    with serve_console(**there.settings()) as make:
        yield make


def test_who_comes_back_from_the_provider_is_signed_in_on_the_page_asked_for(
    chromium: playwright.sync_api.Browser, make: Callable[[], Browser], there: IdentityProvider
) -> None:
    origin = str(make().client.base_url).rstrip("/")
    tab = open_tab(chromium, origin)
    tab.open("/alarms?q=pump")
    assert tab.faults() == []
    tab.page.get_by_role("link", name="Sign in with single sign-on").click()
    tab.page.get_by_role("link", name="Sign in as rosa").click()
    tab.page.wait_for_url(f"{origin}/alarms?q=pump")
    assert "oidc:rosa" in tab.text()
    # What belongs to the sign-in only is gone.
    cookies = {each["name"].split("_")[1]: each for each in tab.page.context.cookies()}
    assert cookies.keys() == {"session"}
    assert cookies["session"]["sameSite"] == "Strict"
    tab.page.get_by_role("button", name="Sign out").click()
    tab.page.get_by_role("link", name="Sign out there too").click()
    tab.page.wait_for_url(f"{there.url}/logout?**")
    assert tab.refused == []
    assert all(url.startswith(there.url) for url in tab.elsewhere)
    tab.page.context.close()
