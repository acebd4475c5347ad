"""Who may ask what: session, scope, and whether a form comes from a page of this console."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from presagio.console import cookies, csrf
from presagio.console.problems import RefusedError, refusal
from presagio.console.routes.sign_in import kept_fields, send_again
from presagio.console.routing import Route
from presagio.console.sessions import Session
from presagio.console.sign_in import everybody
from presagio.console.visit import Visit
from presagio.errors import StorageError
from presagio.sentences import Sentence


def find_visitor(visit: Visit, route: Route) -> None:
    """Put the session that the request's cookie names, if there is one, into a visit."""
    secret = cookies.read(visit.request, "session")
    found = _session_of(visit, route, secret) if secret else None
    visit.session = found
    visit.secret = secret if found else cookies.read(visit.request, "visit")


def _session_of(visit: Visit, route: Route, secret: str) -> Session | None:
    if visit.services.settings.auth == "off":
        return everybody(secret)
    try:
        return visit.services.sessions.find(secret, is_use=not route.updates)
    except StorageError:
        if route.scope is not None:
            raise
        return None


def check_origin(request: Request) -> None:
    """Refuse a form that is not sent by a page of this console.

    Raises
    ------
    RefusedError
        403.
    """
    if not csrf.comes_from_here(request):
        raise RefusedError(
            HTTPStatus.FORBIDDEN,
            Sentence("the request does not come from a page of this console"),
        )


def is_form_of(visit: Visit) -> bool:
    """Tell whether a form was made for this visitor."""
    given = visit.form.fields.get(csrf.FIELD) or visit.request.headers.get(csrf.HEADER, "")
    return bool(visit.secret) and csrf.is_token_of(visit.secret, given)


def ask_again(visit: Visit, route: Route) -> Response:
    """Answer a form that was made for another session: what is in it can be sent anew.

    Raises
    ------
    RefusedError
        403, if nothing of it can be kept.
    """
    if route.scope is None or route.body != "form":
        raise RefusedError(
            HTTPStatus.FORBIDDEN,
            Sentence("the form is from another session: load the page anew, and fill it in again"),
        )
    return send_again(visit, visit.request.url.path, kept_fields(visit), HTTPStatus.FORBIDDEN)


def refuse_scope(visit: Visit, route: Route) -> Response | None:
    """Return the refusal of who is signed in, and lacks a scope; None for who has it.

    Raises
    ------
    StorageError
        If something is to be changed, and the database does not confirm the session.
    """
    if route.scope is None or visit.session is None:
        return None
    if not visit.session.may(route.scope):
        lacking = Sentence("Your account lacks the scope %(scope)s.", {"scope": route.scope})
        return visit.problem(refusal(HTTPStatus.FORBIDDEN, lacking))
    if route.method == "POST" and not visit.session.is_certain:
        raise StorageError("sessions cannot be verified")
    return None
