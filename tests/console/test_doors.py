"""What comes from outside is bounded, comes from here, and is refused in words."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_network
from types import MappingProxyType
from uuid import uuid4

import httpx
import pytest
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import Response

from presagio.console import app as console_app
from presagio.console import cookies, sign_in, tokens
from presagio.console.addresses import address
from presagio.console.discovery import find_pages
from presagio.console.policy import CONTENT_SECURITY_POLICY
from presagio.console.routing import Page, get, post
from presagio.console.visit import Visit
from presagio.jobs.api_client import fetch_token
from presagio.settings import Settings
from tests.console.browser import Browser, forms_of
from tests.console.conftest import ServeConsole

pytestmark = pytest.mark.integration

NOTES: list[tuple[str, str]] = []
# Pages that are waited for at a time.
THREADS = 40
BEGUN: list[threading.Barrier] = []
SLOW = threading.Event()


def _write(visit: Visit) -> Response:
    NOTES.append((visit.who, visit.form.text("note")))
    return visit.go("/", "noted")


def _wait(_visit: Visit) -> Response:
    BEGUN[-1].wait(30)
    SLOW.wait(30)
    return Response()


def _measure(visit: Visit) -> Response:
    sizes = [len(file.file.read()) for file in visit.form.files]
    return visit.page("problem.html", problem={"title": str(sizes), "status": 200, "detail": ""})


def _part(visit: Visit) -> Response:
    title = repr(visit.part("name"))
    return visit.page("problem.html", problem={"title": title, "status": 200, "detail": ""})


_EXTRA = Page(
    routes=(
        post("/notes", _write, scope="operate"),
        post("/sizes", _measure, scope="view", body="files"),
        get("/parts/{name}", _part),
        get("/slow", _wait, scope=None),
    ),
    messages=MappingProxyType({"noted": "You are signed out."}),
)


@pytest.fixture(scope="module")
def make(serve_console: ServeConsole) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console_app, "find_pages", lambda: (*find_pages(), _EXTRA))
        serving = serve_console(console_form_bytes=4096, console_upload_bytes=100_000)
        started = serving.__enter__()
    yield started
    serving.__exit__(None, None, None)


@pytest.fixture(scope="module")
def signed_in_once(make: Callable[[], Browser]) -> tuple[Browser, dict[str, str]]:
    """A browser, and its cookies: passwords take long to verify."""
    browser = make()
    browser.sign_in("operator")
    return browser, dict(browser.client.cookies)


@pytest.fixture
def operator(signed_in_once: tuple[Browser, dict[str, str]]) -> Browser:
    NOTES.clear()
    browser, known = signed_in_once
    browser.client.cookies.clear()
    browser.client.cookies.update(known)
    return browser


def _token(browser: Browser) -> str:
    return forms_of(browser.get("/"))[0][1]["csrf_token"]


def test_every_answer_has_the_policy(operator: Browser) -> None:
    pages = [operator.get(address) for address in ("/", "/none", "/health/live")]
    style = next(part for part in pages[0].text.split('"') if part.startswith("/static/console."))
    for answer in (*pages, operator.get(style)):
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert pages[0].headers["cache-control"] == "no-store"
    assert "immutable" in operator.get(style).headers["cache-control"]


@pytest.mark.parametrize("host", ["a b", "[", "a:b", "a:99999", "a/../b", '"'])
def test_a_request_for_no_host_is_refused(host: str, make: Callable[[], Browser]) -> None:
    answer = make().get("/", Host=host)
    assert answer.status_code == 400
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(
    make: Callable[[], Browser],
) -> None:
    browser = make()
    browser.client.follow_redirects = False
    given = browser.get("/").headers["set-cookie"]
    given += browser.sign_in("viewer").headers["set-cookie"]
    assert given.count("HttpOnly") == given.count("SameSite=strict") == 3
    assert "Path=/" in given


def test_over_tls_cookies_go_over_tls_only() -> None:
    scope = {"type": "http", "scheme": "https", "headers": [(b"host", b"console")], "path": "/"}
    response = Response()
    cookies.write(Request(scope), response, "session", "a secret")
    assert response.headers["set-cookie"].startswith("__Host-presagio_session_")
    assert "; Secure" in response.headers["set-cookie"]


def test_a_form_of_this_console_changes_something(operator: Browser) -> None:
    page = operator.post("/notes", {"csrf_token": _token(operator), "note": " seen "})
    assert page.url.path == "/"
    assert NOTES == [("operator", "seen")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ],
)
def test_a_form_of_another_site_changes_nothing(headers: dict[str, str], operator: Browser) -> None:
    fields = {"csrf_token": _token(operator), "note": "forged"}
    assert operator.post("/notes", fields, **headers).status_code == 403
    assert NOTES == []


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_its_token_is_shown_before_it_is_sent(token: str, operator: Browser) -> None:
    page = operator.post("/notes", {"csrf_token": token, "note": '"<b>typed</b>'})
    assert page.status_code == 403
    assert NOTES == []
    operator.submit(page, "/notes")
    assert NOTES == [("operator", '"<b>typed</b>')]


def test_nobody_signs_somebody_in_from_another_page(make: Callable[[], Browser]) -> None:
    browser = make()
    fields = {"name": "viewer", "password": "a password for tests"}
    assert browser.post("/sign-in", fields).status_code == 403
    browser.get("/sign-in")
    assert browser.post("/sign-in", fields).status_code == 403


def test_what_was_filled_in_survives_the_end_of_the_session(
    operator: Browser,
) -> None:
    token = _token(operator)
    operator.client.cookies.clear()
    page = operator.post("/notes", {"csrf_token": token, "note": "an hour's work"})
    assert page.status_code == 401
    assert "nothing was changed" in page.text
    shown = operator.submit(page, "/sign-in", name="operator", password="a password for tests")
    assert NOTES == []
    assert "an hour&#39;s work" in shown.text
    operator.submit(shown, "/notes")
    assert NOTES == [("operator", "an hour's work")]


@pytest.mark.parametrize(
    "kept", ['{"path": "https://evil.test/", "fields": {"a": "b"}}', "[", '{"path": 1}', "null"]
)
def test_what_is_no_form_of_this_console_is_not_kept(
    kept: str, make: Callable[[], Browser]
) -> None:
    browser = make()
    page = browser.get("/sign-in")
    done = browser.submit(
        page, "/sign-in", name="viewer", password="a password for tests", kept=kept
    )
    assert done.url.path == "/"
    assert "evil" not in done.text


def test_a_scope_that_is_missing_is_named(make: Callable[[], Browser]) -> None:
    viewer = make()
    viewer.sign_in("viewer")
    NOTES.clear()
    page = viewer.post("/notes", {"csrf_token": _token(viewer), "note": "mine"})
    assert page.status_code == 403
    assert "lacks the scope operate" in page.text
    assert NOTES == []


def test_what_is_too_large_is_refused(operator: Browser) -> None:
    token = _token(operator)
    page = operator.post("/notes", {"csrf_token": token, "note": "x" * 5000})
    assert page.status_code == 413
    many = {f"field {number}": "" for number in range(300)}
    assert operator.post("/notes", {"csrf_token": token, **many}).status_code == 400
    files = {"file": ("large.csv", b"x" * 200_000)}
    sent = operator.client.post("/sizes", files=files, headers={"X-CSRF-Token": token})
    assert sent.status_code == 413
    assert NOTES == []


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "undefined", "utf-16"])
def test_a_form_names_no_encoding_of_its_texts(charset: str, operator: Browser) -> None:
    """200 fields of Punycode take a minute, and others make texts that nothing can keep."""
    field = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n\\ud800\r\n--x--\r\n'
    headers = {
        "Content-Type": f"multipart/form-data; boundary=x; charset={charset}",
        "X-CSRF-Token": _token(operator),
    }
    assert operator.client.post("/sizes", content=field, headers=headers).status_code == 415


def test_files_come_with_the_fields_of_their_form(operator: Browser) -> None:
    sent = operator.client.post(
        "/sizes", files={"file": ("a.csv", b"x" * 70_000)}, data={"csrf_token": _token(operator)}
    )
    assert sent.status_code == 200
    assert "[70000]" in sent.text


@pytest.mark.parametrize("body", [b"note=%00", b"note=\xff", b"note=%ff"])
def test_what_is_no_text_is_refused(body: bytes, operator: Browser) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert operator.client.post("/notes", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data"])
def test_only_forms_are_taken(kind: str, operator: Browser) -> None:
    headers = {"Content-Type": kind}
    assert operator.client.post("/notes", content=b"{}", headers=headers).status_code == 415


@pytest.mark.parametrize("name", ["a/b", "..", "%2e", "it's <b>", "ü", "~", "a?b#c"])
def test_any_name_can_be_a_part_of_an_address(name: str, operator: Browser) -> None:
    page = operator.get(address("parts", name))
    assert str(escape(repr(name))) in page.text


@pytest.mark.parametrize("path", ["/parts/%ff", "/parts/%00", "/none", "/parts/a/b"])
def test_what_is_nothings_address_has_a_page(path: str, operator: Browser) -> None:
    page = operator.get(path)
    assert page.status_code == 404
    assert "There is no such page" in page.text


def test_a_request_that_does_not_come_is_not_waited_for(serve_console: ServeConsole) -> None:
    with serve_console(api_header_seconds=0.2, api_body_seconds=0.2) as make:
        base = make().client.base_url
        for begun in (
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            b"POST /sign-in HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Length: 99\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=",
        ):
            with socket.create_connection((base.host, base.port or 80), timeout=10) as opened:
                opened.sendall(begun)
                assert opened.recv(1000).startswith(b"HTTP/1.1 408")


def test_requests_that_do_not_come_keep_nobody_out(serve_console: ServeConsole) -> None:
    begun = (
        b"POST /sign-in HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Length: 99\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname="
    )
    with serve_console(api_max_connections=2) as make, contextlib.ExitStack() as opened:
        base = make().client.base_url
        for _ in range(2):
            place = (base.host, base.port or 80)
            connection = opened.enter_context(socket.create_connection(place, timeout=10))
            connection.sendall(begun)
        # They are read before the next one comes.
        time.sleep(0.2)
        assert make().get("/sign-in").status_code == 200


def test_slow_pages_keep_nobody_from_asking_whether_it_runs(make: Callable[[], Browser]) -> None:
    """Or it would be started again in the middle of them."""
    begun = threading.Barrier(THREADS + 1)

    def ask() -> None:
        make().get("/slow")

    asking = [threading.Thread(target=ask) for _ in range(THREADS)]
    SLOW.clear()
    BEGUN.append(begun)
    for thread in asking:
        thread.start()
    try:
        begun.wait(30)
        answer = make().client.get("/health/live", timeout=5)
        assert answer.json() == {"status": "alive"}
    finally:
        SLOW.set()
        for thread in asking:
            thread.join()


def test_the_page_is_in_the_language_that_was_chosen(make: Callable[[], Browser]) -> None:
    browser = make()
    assert 'lang="es"' in browser.get("/", **{"Accept-Language": "es-ES"}).text
    page = browser.get("/language/es?back=/sign-in%3Fback=/")
    assert page.url.path == "/sign-in"
    assert "Contraseña" in page.text
    assert browser.get("/language/xx").status_code == 404
    assert browser.get("/language/en?back=//evil.test").url.path == "/"


def test_wrong_passwords_are_counted_by_the_visitors_address(
    serve_console: ServeConsole, console_settings: Settings
) -> None:
    """Not by the console's, from where everybody's come."""
    # Other tests, which share the table of attempts, guess from other networks.
    most, name = console_settings.token_attempts, f"nobody-{uuid4().hex[:8]}"

    def attempt(address: str) -> httpx.Response:
        browser = make()
        browser.client.headers["X-Forwarded-For"] = address
        page: httpx.Response = browser.sign_in(name, "wrong")
        return page

    with serve_console(trusted_proxies=(ip_network("127.0.0.1/32"),)) as make:
        answers = [attempt("198.51.100.201") for _ in range(most + 1)]
        assert [answer.status_code for answer in answers] == [401] * most + [429]
        assert "Too many wrong passwords" in answers[-1].text
        assert int(answers[-1].headers["retry-after"]) > 0
        assert attempt("198.51.100.202").status_code == 401


def test_a_guess_costs_the_api_no_more_than_itself(
    make: Callable[[], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console shows who it is once, which takes the API as long as a password."""
    asked = []

    def fetch(settings: Settings, scope: str) -> dict[str, object]:
        asked.append(scope)
        return fetch_token(settings, scope)

    monkeypatch.setattr(tokens, "fetch_token", fetch)
    browser = make()
    for _ in range(2):
        assert browser.sign_in("a guess", "wrong").status_code == 401
    assert len(asked) <= 1


def test_many_passwords_at_once_keep_no_page_from_being_shown(
    make: Callable[[], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "_turns", threading.BoundedSemaphore(1))
    assert sign_in._turns.acquire(blocking=False)
    page = make().sign_in("viewer")
    assert page.status_code == 503
    assert "Too many people sign in at this moment" in page.text
    assert page.headers["retry-after"] == "2"
