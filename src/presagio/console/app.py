"""The application: a factory that takes settings."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from presagio.console import admission, cookies, forms
from presagio.console.assets import Assets
from presagio.console.catalogue import choose_language, read_catalogues
from presagio.console.discovery import find_pages
from presagio.console.pages import Pages
from presagio.console.policy import with_policy
from presagio.console.presentation import make_presentations
from presagio.console.problems import problem_of, refusal
from presagio.console.routes.sign_in import ask_to_sign_in
from presagio.console.routing import Route
from presagio.console.services import Services
from presagio.console.visit import Surroundings, Visit
from presagio.serving.http.forwarded import Proxies
from presagio.serving.http.open_connections import STATE_KEY, OpenConnections
from presagio.settings import Settings

# How often an open page asks which services do not answer, in seconds.
_NOTICES_S = 15

_Endpoint = Callable[[Request], Awaitable[Response]]


def _visit(request: Request, around: Surroundings) -> Visit:
    accepted = request.headers.get("accept-language", "")
    return Visit(request, around, choose_language(cookies.language(request), accepted))


def _endpoint(route: Route, around: Surroundings) -> _Endpoint:
    settings = around.services.settings

    async def read_body(visit: Visit) -> None:
        if route.body == "form":
            visit.form = await forms.read_form(visit.request, settings.console_form_bytes)
        elif route.body == "files":
            visit.form = await forms.read_files(visit.request, settings.console_upload_bytes)

    async def answer(request: Request) -> Response:
        visit = _visit(request, around)
        try:
            return await admitted(visit)
        except Exception as err:  # noqa: BLE001 - each error has a page
            return visit.problem(problem_of(err))

    async def admitted(visit: Visit) -> Response:
        if route.method == "POST":
            admission.check_origin(visit.request)
        await run_in_threadpool(admission.find_visitor, visit, route)
        if route.scope is not None and visit.session is None:
            if route.body == "form":
                await read_body(visit)
            return ask_to_sign_in(visit, updates=route.updates)
        if (refused := admission.refuse_scope(visit, route)) is not None:
            return refused
        await read_body(visit)
        if route.method == "POST" and not admission.is_form_of(visit):
            return admission.ask_again(visit, route)
        return await run_in_threadpool(route.answer, visit)

    return answer


def _raw_paths(app: ASGIApp, proxies: Proxies) -> ASGIApp:
    """Match paths as they came, so that a part may hold an escaped slash; know the real client."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": raw.partition(b"?")[0].decode("latin-1")}
            proxies.resolve(scope)
        await app(scope, receive, send)

    return answer


def _surroundings(settings: Settings, services: Services, assets: Assets) -> Surroundings:
    catalogues, pages = read_catalogues(), find_pages()
    menu = tuple((page.menu.path, page.menu.title) for page in pages if page.menu)
    messages = {key: text for page in pages for key, text in page.messages.items()}
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
    services, assets = Services(settings), Assets()
    around = _surroundings(settings, services, assets)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        services.watch.start()
        yield {STATE_KEY: OpenConnections(settings)}
        await run_in_threadpool(services.close)

    async def refused(request: Request, err: Exception) -> Response:
        status = HTTPStatus(err.status_code if isinstance(err, HTTPException) else 500)
        return _visit(request, around).problem(refusal(status, ""))

    async def failed(request: Request, err: Exception) -> Response:
        return _visit(request, around).problem(problem_of(err))

    routes = [
        StarletteRoute(route.path, _endpoint(route, around), methods=[route.method])
        for page in find_pages()
        for route in page.routes
    ]
    routes.append(StarletteRoute("/static/{name}", assets.answer))
    app = Starlette(
        routes=routes, lifespan=lifespan,
        exception_handlers={HTTPException: refused, Exception: failed},
    )  # fmt: skip
    # A path with a slash too many is another path.
    app.router.redirect_slashes = False
    return _raw_paths(with_policy(app), Proxies(settings.trusted_proxies))
