"""Who may see the console, and for how long."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from presagio.settings import Settings
from presagio.storage.database import open_database
from tests.console.browser import Browser
from tests.console.conftest import ServeConsole

pytestmark = pytest.mark.integration


def test_nobody_sees_a_page_without_signing_in(browser: Browser) -> None:
    page = browser.get("/?state=alarm")
    assert page.status_code == 401
    assert 'action="/sign-in"' in page.text
    assert "Which machine needs you" not in page.text


def test_who_signs_in_is_where_they_wanted_to_be(browser: Browser) -> None:
    page = browser.sign_in("viewer", back="/?state=alarm")
    assert page.status_code == 200
    assert page.url.path == "/"
    assert page.url.query == b"state=alarm"
    assert "viewer" in page.text


def test_who_is_signed_in_is_not_asked_again(browser: Browser) -> None:
    browser.sign_in("viewer")
    page = browser.get("/sign-in?back=/models")
    assert (page.status_code, page.url.path) == (200, "/models")
    assert browser.get("/sign-in").url.path == "/"


def test_a_wrong_password_signs_nobody_in(browser: Browser) -> None:
    page = browser.sign_in("viewer", "not the password")
    assert page.status_code == 401
    assert "Name or password is wrong." in page.text
    assert browser.get("/").status_code == 401


def test_an_account_without_the_scope_view_is_told_so(browser: Browser) -> None:
    page = browser.sign_in("robot")
    assert page.status_code == 403
    assert "lacks the scope view" in page.text


def test_who_signs_out_is_out(new_browser: Callable[[], Browser]) -> None:
    browser = new_browser()
    page = browser.sign_in("viewer", back="/")
    cookies = dict(browser.client.cookies)
    done = browser.submit(page, "/sign-out")
    assert "You are signed out." in done.text
    # Also for who has kept the cookie.
    browser.client.cookies.update(cookies)
    assert browser.get("/").status_code == 401


def test_where_nobody_needs_a_password_no_session_is_kept(
    serve_console: ServeConsole, console_settings: Settings
) -> None:
    def kept() -> int:
        engine = open_database(console_settings)
        with engine.connect() as connection:
            found = connection.scalar(sa.text("SELECT count(*) FROM console_sessions"))
        engine.dispose()
        return int(found or 0)

    before = kept()
    with serve_console(auth="off") as make:
        browser = make()
        page = browser.get("/models")
        assert (page.status_code, page.url.path) == (200, "/models")
        for _ in range(3):
            assert make().get("/").status_code == 200
        # A form counts with the token of its visitor, and with no other.
        assert browser.post("/sign-out", {"csrf_token": "made up"}).status_code == 403
        assert browser.submit(page, "/sign-out").status_code == 200
    assert kept() == before
