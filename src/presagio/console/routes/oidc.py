"""Sign-in by the identity provider: to it, back from it, and out of it."""

import logging
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from presagio.console import cookies
from presagio.console.addresses import address, own_address
from presagio.console.catalogue import mark
from presagio.console.oidc.attempt import LASTS_S
from presagio.console.oidc.faults import NotSignedInError
from presagio.console.oidc.sign_in import OidcSignIn, Returned
from presagio.console.routes.sign_in import sign_in_form
from presagio.console.routing import Page, get
from presagio.console.visit import Visit
from presagio.errors import NotFoundError

_log = logging.getLogger(__name__)
_REASONS = {
    "denied": mark("The identity provider did not let you in."),
    "provider": mark(
        "The identity provider does not answer. Try again in a while, or with a password."
    ),
    "refused": mark("The identity provider refused the sign-in. The log of the console says why."),
    "untrue": mark(
        "What the identity provider answered cannot be trusted, so you are not signed in. The log "
        "of the console says why."
    ),
    "begun": mark(
        "This sign-in was not begun in this browser, or too long ago, or is over already. Begin "
        "again."
    ),
    "nameless": mark("The identity provider gives no name that you can be known by."),
    "group": mark(
        "You are known to the identity provider, but none of your groups may see the console. An "
        "administrator can change that."
    ),
    "busy": mark("Too many sign-ins have failed. Try again in %(seconds)s seconds."),
    "crowded": mark("Too many people sign in at this moment. Try again in %(seconds)s seconds."),
}
_STATUS = {
    "denied": HTTPStatus.FORBIDDEN, "group": HTTPStatus.FORBIDDEN,
    "nameless": HTTPStatus.FORBIDDEN, "begun": HTTPStatus.BAD_REQUEST,
    "provider": HTTPStatus.SERVICE_UNAVAILABLE, "crowded": HTTPStatus.SERVICE_UNAVAILABLE,
    "busy": HTTPStatus.TOO_MANY_REQUESTS,
}  # fmt: skip


def _oidc(visit: Visit) -> OidcSignIn:
    if visit.services.oidc is None:
        raise NotFoundError("there is no identity provider")
    return visit.services.oidc


def _here(visit: Visit, *parts: str) -> str:
    """Return an address of the console as the provider knows it: with scheme and host."""
    url = visit.request.url
    return f"{url.scheme}://{url.netloc}{address(*parts)}"


def _callback(visit: Visit) -> str:
    return _here(visit, "sign-in", "oidc", "callback")


def _refused(visit: Visit, err: NotSignedInError, back: str) -> Response:
    _log.warning("nobody is signed in by the identity provider (%s): %s", err.reason, err)
    note = visit.translate(_REASONS[err.reason], seconds=err.wait_s)
    status = _STATUS.get(err.reason, HTTPStatus.BAD_GATEWAY)
    # What the provider sent is in the address of this page, and of no other.
    visit.place = address("sign-in", back=back)
    response = sign_in_form(visit, back=back, note=note, status=status)
    if err.wait_s:
        response.headers["Retry-After"] = str(err.wait_s)
    return response


def _begin(visit: Visit) -> Response:
    oidc, back = _oidc(visit), own_address(visit.query("back"))
    try:
        where, cookie = oidc.begin(back, _callback(visit))
    except NotSignedInError as err:
        return _refused(visit, err, back)
    response = RedirectResponse(where, HTTPStatus.SEE_OTHER)
    cookies.write(visit.request, response, "oidc", cookie, lasts_s=LASTS_S)
    return response


def _returned(visit: Visit) -> Returned:
    given = visit.request.query_params
    return Returned(
        state=given.get("state", ""), code=given.get("code", ""), issuer=given.get("iss", ""),
        error=given.get("error", ""), description=given.get("error_description", ""),
    )  # fmt: skip


def _finish(visit: Visit) -> Response:
    oidc, request, back, returned = _oidc(visit), visit.request, "/", _returned(visit)
    try:
        attempt = oidc.attempt(cookies.read(request, "oidc"), returned.state)
        back = own_address(attempt.back)
        client = request.client.host if request.client else ""
        session = oidc.finish(attempt, returned, _callback(visit), client)
    except NotSignedInError as err:
        response = _refused(visit, err, back)
    else:
        # A page, and no redirect: this request comes from the provider's page, and a redirect of it
        # would be followed without the session's cookie, which is strict.
        visit.place = back
        response = visit.page("oidc.html", back=back)
        cookies.write(request, response, "session", session.secret)
        cookies.remove(request, response, "visit")
    cookies.remove(request, response, "oidc")
    return response


def _sign_out(visit: Visit) -> Response:
    where = _oidc(visit).provider.sign_out_address(_here(visit, "sign-in"))
    return RedirectResponse(where or address("sign-in"), HTTPStatus.SEE_OTHER)


PAGE = Page(
    routes=(
        get("/sign-in/oidc", _begin, scope=None),
        get("/sign-in/oidc/callback", _finish, scope=None),
        get("/sign-out/oidc", _sign_out, scope=None),
    )
)
