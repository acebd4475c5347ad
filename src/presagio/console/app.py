"""The application: a factory that takes settings."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from presagio.console.assets import Assets
from presagio.console.catalogue import read_catalogues
from presagio.console.discovery import find_pages
from presagio.console.handling import Handler, answer_error
from presagio.console.hosts import with_hosts
from presagio.console.pages import Pages
from presagio.console.policy import with_policy
from presagio.console.presentation import make_presentations
from presagio.console.routing import Page
from presagio.console.services import Services
from presagio.console.visit import Surroundings
from presagio.serving.http.forwarded import Proxies
from presagio.serving.http.open_connections import STATE_KEY, OpenConnections
from presagio.settings import Settings

# How often an open page asks which services do not answer, in seconds.
_NOTICES_S = 15


def _on_raw_paths(app: ASGIApp, proxies: Proxies) -> ASGIApp:
    """Match paths as they came, so that a part may hold an escaped slash; know the real client."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": raw.partition(b"?")[0].decode("latin-1")}
            proxies.resolve(scope)
        await app(scope, receive, send)

    return answer


def _surroundings(services: Services, assets: Assets, found: tuple[Page, ...]) -> Surroundings:
    settings, catalogues = services.settings, read_catalogues()
    menu = tuple((page.menu.path, page.menu.title) for page in found if page.menu)
    messages = {key: text for page in found for key, text in page.messages.items()}
    names = {"refresh_s": settings.console_refresh_seconds, "notices_s": _NOTICES_S}
    return Surroundings(
        services, Pages(catalogues, assets, **names), make_presentations(settings, catalogues),
        menu, MappingProxyType(messages),
    )  # fmt: skip


def create_app(settings: Settings) -> ASGIApp:
    """Build the console.

    Parameters
    ----------
    settings
        Those of the deployment.

    Raises
    ------
    SettingsError
        If they cannot be used.
    """
    services, assets, found = Services(settings), Assets(), find_pages()
    around = _surroundings(services, assets, found)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        services.watch.start()
        yield {STATE_KEY: OpenConnections(settings)}
        await run_in_threadpool(services.close)

    routes = [
        StarletteRoute(route.path, Handler(route, around).__call__, methods=[route.method])
        for page in found
        for route in page.routes
    ]
    routes.append(StarletteRoute("/static/{name}", assets.answer))
    fail = partial(answer_error, around=around)
    app = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: fail, Exception: fail}
    )
    # A path with a slash too many is another path.
    app.router.redirect_slashes = False
    return _on_raw_paths(with_policy(with_hosts(app)), Proxies(settings.trusted_proxies))
