"""How a request becomes an answer: who asks, whether they may, what came, and then the page."""

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from presagio.console import admission, cookies, forms
from presagio.console.catalogue import choose_language
from presagio.console.problems import problem_of, refusal
from presagio.console.routes.sign_in import ask_to_sign_in
from presagio.console.routing import Route
from presagio.console.visit import Surroundings, Visit


def make_visit(request: Request, around: Surroundings) -> Visit:
    """Return the visit that a request is, of nobody yet."""
    accepted = request.headers.get("accept-language", "")
    return Visit(request, around, choose_language(cookies.language(request), accepted))


class Handler:
    """Answers the requests to one address."""

    def __init__(self, route: Route, around: Surroundings) -> None:
        self._route, self._around = route, around

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        visit = make_visit(request, self._around)
        try:
            return await self._answer(visit)
        except Exception as err:  # noqa: BLE001 - each error has a page
            return visit.problem(problem_of(err))
        finally:
            for file in visit.form.files:
                await file.close()

    async def _answer(self, visit: Visit) -> Response:
        route = self._route
        if route.at_once:
            return route.answer(visit)
        if route.method == "POST":
            admission.check_origin(visit.request)
        await run_in_threadpool(admission.find_visitor, visit, route)
        if route.scope is not None and visit.session is None:
            if route.body == "form":
                await self._read_body(visit)
            return await run_in_threadpool(ask_to_sign_in, visit, updates=route.updates)
        if (refused := admission.refuse_scope(visit, route)) is not None:
            return refused
        await self._read_body(visit)
        if route.method == "POST" and not admission.is_form_of(visit):
            return admission.ask_again(visit, route)
        return await run_in_threadpool(route.answer, visit)

    async def _read_body(self, visit: Visit) -> None:
        settings = self._around.services.settings
        if self._route.body == "form":
            visit.form = await forms.read_form(visit.request, settings.console_form_bytes)
        elif self._route.body == "files":
            visit.form = await forms.read_files(visit.request, settings.console_upload_bytes)


async def answer_error(request: Request, err: Exception, around: Surroundings) -> Response:
    """Answer what no address, or no handler, has answered."""
    visit = make_visit(request, around)
    if isinstance(err, HTTPException):
        return visit.problem(refusal(HTTPStatus(err.status_code), ""))
    return visit.problem(problem_of(err))
