"""The console in a real browser, on the whole stack."""

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser

from presagio.settings.private import reveal
from presagio.storage.database import open_database
from tests.e2e.chromium import DESK, PHONE, Tab, chromium, needs_chromium, open_tab
from tests.e2e.console_pages import PAGES
from tests.e2e.stack import Stack

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def origin(stack: Stack) -> str:
    return stack.settings.console_url


@pytest.fixture
def password(stack: Stack) -> str:
    """Of the user `admin`, who may do everything."""
    return reveal(stack.settings.admin_password, "PRESAGIO_ADMIN_PASSWORD")


def _account(stack: Stack, name: str, *scopes: str) -> str:
    """Add an account as an administrator does; return its password."""
    options = [f"--scope={scope}" for scope in scopes]
    done = stack.call("account", "add", name, "--kind", "user", *options, "--json")
    return str(json.loads(done.stdout)["secret"])


def test_who_signs_in_sees_the_units_and_who_signs_out_does_not(
    browser: Browser, origin: str, password: str
) -> None:
    tab = open_tab(browser, origin)
    tab.open("/?state=alarm")
    tab.sign_in("admin", "not the password")
    assert "Name or password is wrong." in tab.text()
    tab.sign_in("admin", password)
    assert tab.page.url == f"{origin}/?state=alarm"
    assert "Which machine needs you" in tab.text()
    # By keyboard: the first stop leads past the menu.
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "main"
    tab.page.click("header form button")
    tab.page.wait_for_load_state("load")
    assert "You are signed out." in tab.text()
    tab.open("/")
    assert "Which machine needs you" not in tab.text()


@pytest.mark.parametrize(
    ("language", "width"),
    [
        ("en", PHONE),
        ("es", DESK),
        pytest.param("en", DESK, marks=pytest.mark.nightly),
        pytest.param("es", PHONE, marks=pytest.mark.nightly),
    ],
)
def test_every_page_is_for_everybody(
    language: str, width: int, browser: Browser, origin: str, password: str
) -> None:
    """No finding of axe-core, no sideways scroll, no other host, nothing against the policy."""
    tab = open_tab(browser, origin, width=width, language=language)
    tab.open("/")
    found = {"/sign-in": tab.faults()}
    tab.sign_in("admin", password)
    for address in (*PAGES, "/no-such-page"):
        tab.open(address)
        assert tab.page.get_attribute("html", "lang") == language
        found[address] = tab.faults()
    assert found == {address: [] for address in found}


def test_pages_come_without_scripts(browser: Browser, origin: str, password: str) -> None:
    tab = open_tab(browser, origin, java_script_enabled=False)
    tab.open("/")
    tab.sign_in("admin", password)
    tab.page.select_option("[name=state]", "watch")
    tab.page.click("main form button >> nth=0")
    assert "state=watch" in tab.page.url


def test_a_session_that_ended_is_told_in_the_open_page(
    stack: Stack, browser: Browser, origin: str
) -> None:
    secret = _account(stack, "leaver", "view")
    tab = open_tab(browser, origin)
    tab.open("/")
    tab.sign_in("leaver", secret)
    assert stack.call("account", "remove", "leaver").returncode == 0
    # The page asks by itself, and says so in its place.
    tab.page.wait_for_selector("text=Your session has ended", timeout=30_000)
    tab.page.click("header form button")
    tab.page.wait_for_load_state("load")
    assert "Your session has ended" in tab.text()


def test_a_scope_that_is_missing_keeps_an_account_out(
    stack: Stack, browser: Browser, origin: str
) -> None:
    secret = _account(stack, "predictor", "predict")
    tab = open_tab(browser, origin)
    tab.open("/")
    tab.sign_in("predictor", secret)
    assert "lacks the scope view" in tab.text()


def test_the_page_shows_what_comes_while_it_is_open_whatever_it_is_called(
    stack: Stack, browser: Browser, origin: str, password: str
) -> None:
    name = """<img src=x onerror=alert(1)>/'"&%2F…"""
    tab: Tab = open_tab(browser, origin)
    tab.open("/")
    tab.sign_in("admin", password)
    assert name not in tab.text()
    database = open_database(stack.settings)
    with database.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO unit_states (fleet, unit, state, label, receipt_id, model, version, "
                "memory, probability, score) "
                "VALUES ('', :unit, 'watch', true, 1, 'm', '1', '{}', 0.97, 1)"
            ),
            {"unit": name},
        )
    try:
        link = tab.page.get_by_role("link", name=name)
        link.wait_for(timeout=30_000)
        assert "/units/ai4i2020/%3Cimg%20src%3Dx" in str(link.get_attribute("href"))
        assert "97" in tab.text()
        assert tab.faults() == []
    finally:
        with database.begin() as connection:
            connection.execute(
                sa.text("DELETE FROM unit_states WHERE unit = :unit"), {"unit": name}
            )
        database.dispose()
