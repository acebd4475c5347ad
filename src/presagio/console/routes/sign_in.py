"""Signing in and out, and what becomes of a form whose session has ended."""

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from starlette.responses import Response

from presagio.console import cookies, csrf
from presagio.console.addresses import address, own_address
from presagio.console.catalogue import mark
from presagio.console.routing import Page, get, post
from presagio.console.sessions import VIEW, Session
from presagio.console.sign_in import NotSignedIn, everybody, sign_in
from presagio.console.visit import Visit
from presagio.settings.sign_in import OIDC_PREFIX

_SECRET_BYTES = 32
_REASONS = {
    "wrong": mark("Name or password is wrong."),
    "busy": mark("Too many wrong passwords. Try again in %(seconds)s seconds."),
    "crowded": mark("Too many people sign in at this moment. Try again in %(seconds)s seconds."),
    "scope": mark("This account may not see the console: it lacks the scope view."),
}
_STATUS = {
    "wrong": HTTPStatus.UNAUTHORIZED, "busy": HTTPStatus.TOO_MANY_REQUESTS,
    "crowded": HTTPStatus.SERVICE_UNAVAILABLE, "scope": HTTPStatus.FORBIDDEN,
}  # fmt: skip
_BY_PROVIDER = mark("Sign in with single sign-on")
_SIGNED_OUT_HERE = "signed-out-here"
_ENDED = mark("Your session has ended. Sign in again.")
_ENDED_IN_FORM = mark(
    "Your session has ended before the form arrived, so nothing was changed. Sign in again: what "
    "you have filled in is kept, and you can send it then."
)


def kept_fields(visit: Visit) -> dict[str, str]:
    """Return what somebody has filled into a form."""
    return {name: text for name, text in visit.form.fields.items() if name != csrf.FIELD}


def send_again(
    visit: Visit, path: str, fields: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK
) -> Response:
    """Answer with what was filled in, to be looked at and sent for the session that there is now.

    Parameters
    ----------
    path, fields
        Where the form is sent to, and what is in it.
    """
    return visit.page("send_again.html", status, path=path, fields=fields)


def _kept(visit: Visit) -> str:
    """Return the fields of a form whose session has ended, as a field of the sign-in form."""
    fields = kept_fields(visit)
    return json.dumps({"path": visit.request.url.path, "fields": fields}) if fields else ""


def _read_kept(raw: str) -> tuple[str, dict[str, str]] | None:
    """Return the address and the fields of a form that was kept; None where there is none."""
    try:
        kept = json.loads(raw)
        path, fields = kept["path"], dict(kept["fields"])
    except (ValueError, TypeError, KeyError):
        return None
    texts = [path, *fields, *fields.values()]
    if not all(isinstance(text, str) for text in texts) or own_address(path) != path:
        return None
    return path, fields


def _provider(visit: Visit) -> str:
    """Return the text of the button for the identity provider; empty where there is none."""
    if visit.services.oidc is None:
        return ""
    return visit.services.settings.console_oidc_button or visit.translate(_BY_PROVIDER)


def sign_in_form(
    visit: Visit, *, back: str, note: str = "", kept: str = "", name: str = "",
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:  # fmt: skip
    """Answer with the form for name and password, and with what else there is to sign in with.

    Parameters
    ----------
    back
        The page to go on with.
    note
        Why it is shown.
    kept
        A form whose session has ended, as text.
    """
    fresh = not visit.secret or visit.session is not None
    if fresh:
        visit.secret = secrets.token_urlsafe(_SECRET_BYTES)
    visit.session = None
    # Who was signed in by the provider still is so there.
    oidc, is_out = visit.services.oidc, visit.query("done") == _SIGNED_OUT_HERE
    ended = is_out and oidc is not None and oidc.provider.sign_out_address("") is not None
    response = visit.page(
        "sign_in.html", status, back=back, note=note, kept=kept, name=name,
        provider=_provider(visit), form_kept=_read_kept(kept), ended=ended,
    )  # fmt: skip
    if fresh:
        cookies.write(visit.request, response, "visit", visit.secret)
    return response


def ask_to_sign_in(visit: Visit, *, updates: bool) -> Response:
    """Answer a request of nobody: the sign-in form, which knows where to go on.

    Parameters
    ----------
    updates
        Whether a part of a page asks, which then says so in its place.
    """
    request = visit.request
    if visit.services.settings.auth == "off":
        anybody = everybody(secrets.token_urlsafe(_SECRET_BYTES))
        return _signed_in(visit, anybody, own_address(visit.here))
    if updates:
        return visit.page("ended.html", HTTPStatus.UNAUTHORIZED)
    had_session = bool(cookies.read(request, "session"))
    if request.method == "GET":
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        note = visit.translate(_ENDED) if had_session else ""
        return sign_in_form(
            visit, back=own_address(back), note=note, status=HTTPStatus.UNAUTHORIZED
        )
    return sign_in_form(
        visit, back="/", note=visit.translate(_ENDED_IN_FORM), kept=_kept(visit),
        status=HTTPStatus.UNAUTHORIZED,
    )  # fmt: skip


def _show(visit: Visit) -> Response:
    back = own_address(visit.query("back"))
    if visit.session is not None:
        return visit.go(back)
    return sign_in_form(visit, back=back)


def _sign_in(visit: Visit) -> Response:
    form, request = visit.form, visit.request
    client = request.client.host if request.client else ""
    name, back = form.text("name"), own_address(form.text("back"))
    kept = form.fields.get("kept", "")
    services = visit.services
    done = sign_in(
        services.settings, services.sessions, services.tokens, name,
        form.fields.get("password", ""), client,
    )  # fmt: skip
    if isinstance(done, NotSignedIn):
        status = _STATUS[done.reason]
        note = visit.translate(_REASONS[done.reason], seconds=done.wait_s)
        response = sign_in_form(visit, back=back, note=note, kept=kept, name=name, status=status)
        if done.wait_s:
            response.headers["Retry-After"] = str(done.wait_s)
        return response
    return _signed_in(visit, done, back, kept)


def _signed_in(visit: Visit, session: Session, back: str, kept: str = "") -> Response:
    visit.session, visit.secret = session, session.secret
    found = _read_kept(kept)
    response = visit.go(back) if found is None else send_again(visit, *found)
    cookies.write(visit.request, response, "session", session.secret)
    cookies.remove(visit.request, response, "visit")
    return response


def _sign_out(visit: Visit) -> Response:
    done = "signed-out"
    if visit.session is not None:
        visit.services.sessions.end(visit.session.secret)
        if visit.session.name.startswith(OIDC_PREFIX):
            done = _SIGNED_OUT_HERE
    response = visit.go(address("sign-in"), done)
    cookies.remove(visit.request, response, "session")
    return response


PAGE = Page(
    routes=(
        get("/sign-in", _show, scope=None),
        post("/sign-in", _sign_in, scope=None),
        post("/sign-out", _sign_out, scope=VIEW),
    ),
    messages=MappingProxyType(
        {
            "signed-out": mark("You are signed out."),
            _SIGNED_OUT_HERE: mark("You are signed out of the console."),
        }
    ),
)
