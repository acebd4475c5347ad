"""The console on a real PostgreSQL and S3, with a real API that verifies passwords."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import playwright.sync_api
import pytest
import uvicorn
from pydantic import SecretStr

from presagio.console.app import create_app
from presagio.console.program import server_options
from presagio.deployment.databases import API_ROLE, CONSOLE_ROLE
from presagio.serving.auth.accounts import make_account
from presagio.serving.auth.shared_accounts import opened_accounts
from presagio.serving.auth.tokens import Scope
from presagio.settings import Settings
from presagio.storage.objects import open_store
from tests.conftest import RunningServices
from tests.console.browser import PASSWORD, Browser
from tests.e2e.chromium import chromium as started_chromium
from tests.serving.conftest import serve_app, with_secrets

# Who there is, and what each may do.
PEOPLE: dict[str, tuple[Scope, ...]] = {
    "viewer": ("view",),
    "operator": ("view", "operate"),
    "chief": ("admin",),
    "robot": ("predict",),
}

# Serves the console with settings changed, and gives what makes new browsers.
ServeConsole = Callable[..., AbstractContextManager[Callable[[], Browser]]]


@pytest.fixture(scope="session")
def console_settings(
    services: RunningServices, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a deployment with accounts, whose API answers."""
    bucket = f"console-{uuid4().hex[:8]}"
    open_store(services.settings).create_bucket(bucket)

    def database(role: str) -> SecretStr:
        return SecretStr(services.credentials.database_url(services.ports, role))

    changes: dict[str, Any] = {
        "home": tmp_path_factory.mktemp("console"), "s3_bucket": bucket, "data_bucket": bucket,
        "model_name": bucket, "experiment": bucket, "record_predictions": False,
        "api_database_url": database(API_ROLE), "console_database_url": database(CONSOLE_ROLE),
    }  # fmt: skip
    settings = with_secrets(services.settings.model_copy(update=changes))
    with opened_accounts(settings) as accounts:
        for name, scopes in PEOPLE.items():
            accounts.put(make_account(name, "user", PASSWORD, scopes))
    with serve_app(settings) as api:
        yield settings.model_copy(update={"api_url": str(api.base_url).rstrip("/")})


@pytest.fixture(scope="session")
def serve_console(console_settings: Settings) -> ServeConsole:
    @contextlib.contextmanager
    def serve(**changes: Any) -> Iterator[Callable[[], Browser]]:
        settings = console_settings.model_copy(update=changes)
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(settings), **server_options()))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.ExitStack() as opened:
            try:
                while not server.started and thread.is_alive():
                    time.sleep(0.01)
                yield lambda: opened.enter_context(Browser(origin))
            finally:
                server.should_exit = True
                thread.join()
                listener.close()

    return serve


@pytest.fixture(scope="session")
def new_browser(serve_console: ServeConsole) -> Iterator[Callable[[], Browser]]:
    """Make browsers of different visitors."""
    with serve_console() as make:
        yield make


@pytest.fixture
def browser(new_browser: Callable[[], Browser]) -> Browser:
    """A browser where nobody is signed in."""
    return new_browser()


@pytest.fixture(scope="session")
def signed_in(new_browser: Callable[[], Browser]) -> Callable[[str], Browser]:
    """Give a browser where one of the people is signed in; the same one each time."""
    known: dict[str, Browser] = {}

    def sign_in(name: str) -> Browser:
        if name not in known:
            browser = new_browser()
            browser.be(name)
            known[name] = browser
        return known[name]

    return sign_in


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.sync_api.Browser]:
    """A real browser; while it runs, no other event loop can in this process."""
    with started_chromium() as started:
        yield started
