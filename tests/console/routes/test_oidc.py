"""Sign-in by an identity provider: who comes in, as whom, and who does not."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from presagio.serving.auth.accounts import make_account
from presagio.serving.auth.shared_accounts import opened_accounts
from presagio.settings import Settings
from presagio.storage.audit import AuditLog
from presagio.storage.database import open_database
from tests.console.browser import PASSWORD, Browser, forms_of
from tests.console.conftest import ServeConsole
from tests.console.identity_provider import OPERATOR, IdentityProvider

pytestmark = pytest.mark.integration

MARKUP = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture
def there(running: IdentityProvider) -> IdentityProvider:
    running.reset()
    return running


@pytest.fixture(scope="module")
def make(serve_console: ServeConsole, running: IdentityProvider) -> Iterator[Callable[[], Browser]]:
    """Make browsers of visitors at different addresses: failures are counted by address."""
    numbers = itertools.count(1)
    changes = {
        "trusted_proxies": (ip_network("127.0.0.1/32"),), "token_attempts": 2,
        "console_oidc_button": "With a badge & <b>",
    }  # fmt: skip
    with serve_console(**running.settings(**changes)) as make:

        def make_one() -> Browser:
            browser = make()
            browser.client.headers["X-Forwarded-For"] = f"192.0.2.{next(numbers)}"
            return browser

        yield make_one


@pytest.fixture
def visitor(make: Callable[[], Browser], there: IdentityProvider) -> Browser:  # noqa: ARG001
    return make()


def _sign_in(visitor: Browser, back: str = "/") -> httpx.Response:
    return visitor.get(f"/sign-in/oidc?{urlencode({'back': back})}")


def _returned(visitor: Browser, back: str = "/") -> str:
    """Begin, and sign in there; return the address that the browser is sent back to."""
    visitor.client.follow_redirects = False
    begun = _sign_in(visitor, back)
    found = str(httpx.get(begun.headers["location"]).headers["location"])
    visitor.client.follow_redirects = True
    return found


def _changed(address: str, **fields: str) -> str:
    split = urlsplit(address)
    given = {name: values[0] for name, values in parse_qs(split.query).items()} | fields
    return split._replace(query=urlencode(given)).geturl()


def _is_in(visitor: Browser) -> bool:
    return visitor.get("/").status_code == 200


def test_who_signs_in_there_is_where_they_wanted_to_be(visitor: Browser) -> None:
    asked = visitor.get("/?state=alarm")
    assert asked.status_code == 401
    assert 'href="/sign-in/oidc?back=%2F%3Fstate%3Dalarm"' in asked.text
    page = _sign_in(visitor, "/?state=alarm")
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/?state=alarm">' in page.text
    shown = visitor.get("/?state=alarm")
    assert "oidc:rosa" in shown.text


@pytest.mark.parametrize(
    ("groups", "may_add"), [(["plant-operators"], 403), (["plant-chiefs"], 200)]
)
def test_groups_say_what_somebody_may_do(
    groups: list[str], may_add: int, visitor: Browser, there: IdentityProvider
) -> None:
    there.person["groups"] = groups
    _sign_in(visitor)
    assert visitor.get("/fleets/new").status_code == may_add


def test_who_is_in_no_group_gets_a_page_that_says_so_and_no_session(
    visitor: Browser, there: IdentityProvider
) -> None:
    there.person["groups"] = ["others"]
    page = _sign_in(visitor)
    assert page.status_code == 403
    assert "none of your groups may see the console" in page.text
    assert not _is_in(visitor)


def test_it_is_written_down_who_has_signed_in(visitor: Browser, console_settings: Settings) -> None:
    _sign_in(visitor)
    engine = open_database(console_settings)
    entry = AuditLog(engine).entries(target="oidc:rosa", limit=1)[0]
    engine.dispose()
    assert (entry.who, entry.action, entry.scope) == ("oidc:rosa", "session.begin", "operate")
    assert entry.detail["subject"] == OPERATOR["sub"]


def test_nobody_has_the_session_of_an_account_with_a_password(
    visitor: Browser, there: IdentityProvider, console_settings: Settings,
    make: Callable[[], Browser],
) -> None:  # fmt: skip
    """Neither by its name at the provider, nor by an account that is called as people there are."""
    there.person |= {"preferred_username": "chief"}
    _sign_in(visitor)
    assert ">oidc:chief<" in visitor.get("/").text
    assert visitor.get("/fleets/new").status_code == 403
    with opened_accounts(console_settings) as accounts:
        accounts.put(make_account("oidc:rosa", "user", PASSWORD, ("admin",)))
        try:
            assert make().sign_in("oidc:rosa").status_code == 401
        finally:
            accounts.remove("oidc:rosa")


def test_names_are_shown_as_they_are(visitor: Browser, there: IdentityProvider) -> None:
    there.person |= {"preferred_username": MARKUP}
    _sign_in(visitor)
    shown = visitor.get("/").text
    assert MARKUP not in shown
    assert "oidc:&lt;script&gt;" in shown


def test_a_sign_in_that_another_browser_has_begun_is_refused(
    visitor: Browser, make: Callable[[], Browser]
) -> None:
    """Or somebody would work under the name of who has sent them a link."""
    address = _returned(visitor)
    one, another = make(), make()
    # Also where it has begun one too.
    _returned(another)
    for other in (one, another):
        page = other.get(address)
        assert page.status_code == 400
        assert "was not begun in this browser" in page.text
        assert not _is_in(other)


@pytest.mark.parametrize("state", ["", "a" * 43, "é"])
def test_another_state_is_refused(state: str, visitor: Browser) -> None:
    assert visitor.get(_changed(_returned(visitor), state=state)).status_code == 400
    assert not _is_in(visitor)


def test_a_sign_in_is_finished_once(visitor: Browser, there: IdentityProvider) -> None:
    """Also where the cookie was kept, and the provider would take the code again."""
    there.redeems = 2
    address = _returned(visitor)
    kept = dict(visitor.client.cookies)
    assert visitor.get(address).status_code == 200
    for cookies in ({}, kept):
        visitor.client.cookies.clear()
        visitor.client.cookies.update(cookies)
        assert visitor.get(address).status_code == 400
        assert not _is_in(visitor)


def test_the_cookie_comes_back_from_another_site_and_ends_soon(visitor: Browser) -> None:
    visitor.client.follow_redirects = False
    begun = _sign_in(visitor)
    (given,) = [each for each in begun.headers.get_list("set-cookie") if "oidc" in each]
    for part in ("HttpOnly", "SameSite=lax", "Max-Age=600", "Path=/"):
        assert part in given
    done = visitor.get(str(httpx.get(begun.headers["location"]).headers["location"]))
    (session,) = [each for each in done.headers.get_list("set-cookie") if "_session_" in each]
    assert "SameSite=strict" in session
    assert not any("oidc" in name for name in visitor.client.cookies)


@pytest.mark.parametrize(
    "back", ["https://evil.test", "//evil.test", "/\\evil.test", "javascript:evil()"]
)
def test_a_sign_in_leads_to_no_other_site(back: str, visitor: Browser) -> None:
    page = _sign_in(visitor, back)
    assert page.status_code == 200
    assert 'content="0; url=/"' in page.text
    assert "evil" not in page.text


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        ("access_denied", 403, "did not let you in"),
        ("server_error", 503, "does not answer"),
        (MARKUP, 502, "refused the sign-in"),
    ],
)
def test_an_error_of_the_provider_is_told_in_our_words(
    error: str, status: int, says: str, visitor: Browser
) -> None:
    fields = {"error": error, "error_description": MARKUP, "error_uri": "https://evil.test"}
    page = visitor.get(_changed(_returned(visitor, "/drift"), **fields))
    assert page.status_code == status
    assert says in page.text
    assert "alert(1)" not in page.text
    assert "evil" not in page.text
    # And one may try again, for the same page.
    assert forms_of(page)[0][1]["back"] == "/drift"


@pytest.mark.parametrize("code", ["", "a" * 5000, "another"])
def test_a_code_of_nobody_is_refused(code: str, visitor: Browser) -> None:
    page = visitor.get(_changed(_returned(visitor), code=code))
    assert page.status_code == 502
    assert not _is_in(visitor)


def test_what_the_provider_cannot_prove_is_not_believed(
    visitor: Browser, there: IdentityProvider
) -> None:
    there.changes = {"nonce": "another"}
    page = _sign_in(visitor)
    assert page.status_code == 502
    assert "cannot be trusted" in page.text
    assert not _is_in(visitor)


def test_who_signs_out_is_out_and_may_sign_out_there_too(visitor: Browser) -> None:
    _sign_in(visitor)
    cookies = dict(visitor.client.cookies)
    page = visitor.submit(visitor.get("/"), "/sign-out")
    assert "You are signed out of the console." in page.text
    assert 'href="/sign-out/oidc"' in page.text
    assert visitor.get("/sign-out/oidc").url.path == "/logout"
    visitor.client.cookies.update(cookies)
    assert not _is_in(visitor)


def test_what_was_filled_in_survives_a_sign_in_by_the_provider(visitor: Browser) -> None:
    _sign_in(visitor)
    token = forms_of(visitor.get("/"))[0][1]["csrf_token"]
    visitor.client.cookies.clear()
    form = "/alarms/1/note"
    page = visitor.post(form, {"csrf_token": token, "text": "an hour's work"})
    assert page.status_code == 401
    assert 'target="_blank"' in page.text
    # In another tab.
    _sign_in(visitor)
    shown = visitor.submit(page, form)
    assert shown.status_code == 403
    assert "an hour&#39;s work" in shown.text


def test_the_button_has_the_text_that_people_know(visitor: Browser) -> None:
    assert ">With a badge &amp; &lt;b&gt;</a>" in visitor.get("/").text


def test_without_a_provider_nothing_is_there(browser: Browser) -> None:
    assert "oidc" not in browser.get("/sign-in").text
    for path in ("/sign-in/oidc", "/sign-in/oidc/callback", "/sign-out/oidc"):
        assert browser.get(path).status_code == 404


def test_failures_are_counted_by_the_visitors_address(
    visitor: Browser, make: Callable[[], Browser]
) -> None:
    pages = [visitor.get(_changed(_returned(visitor), code="a guess")) for _ in range(3)]
    assert [page.status_code for page in pages] == [502, 502, 429]
    assert "Too many sign-ins have failed" in pages[-1].text
    assert int(pages[-1].headers["retry-after"]) > 0
    # A password is counted by itself, and somebody elsewhere too.
    assert visitor.sign_in("viewer").status_code == 200
    another = make()
    _sign_in(another)
    assert _is_in(another)


def test_a_provider_that_hangs_keeps_nobody_waiting_but_those_who_want_it(
    make: Callable[[], Browser], there: IdentityProvider
) -> None:
    hanging, begun = threading.Event(), threading.Semaphore(0)

    def hang(_handler: Any) -> None:
        begun.release()
        hanging.wait(30)

    there.documents["/token"] = hang
    visitors = [make() for _ in range(12)]
    addresses = [_returned(visitor) for visitor in visitors]
    with ThreadPoolExecutor(len(visitors)) as threads:
        asked = [
            threads.submit(visitor.get, address)
            for visitor, address in zip(visitors, addresses, strict=True)
        ]
        try:
            assert begun.acquire(timeout=10)
            visitor = make()
            assert visitor.sign_in("viewer").status_code == 200
            assert _is_in(visitor)
        finally:
            hanging.set()
        answers = [each.result() for each in asked]
    assert {answer.status_code for answer in answers} == {503}
    assert any("Too many people sign in" in answer.text for answer in answers)
    assert any("does not answer" in answer.text for answer in answers)


def test_while_the_database_is_unavailable_nobody_signs_in(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = _returned(visitor)

    def fail(*_given: object, **_named: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("gone"))

    monkeypatch.setattr("presagio.storage.audit.add_entry", fail)
    assert visitor.get(address).status_code == 503
    assert not _is_in(visitor)
