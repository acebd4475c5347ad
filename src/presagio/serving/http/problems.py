"""Refusals: what was wrong, what came, what is allowed; and never a 500 for bad input.

Every answer from 400 on is a problem document (RFC 9457).
"""

import json
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from presagio.errors import NoChampionError, RegistryError, StorageError
from presagio.machine.spec import MachineSpec
from presagio.readings.json_object import reason_of
from presagio.readings.rules import FlagRule, NumberRule, Reason, input_rules, message
from presagio.serving.http.answers import FieldFault, Problem
from presagio.serving.http.openapi import schema_reference

_log = logging.getLogger(__name__)
_LONGEST_ECHO = 80
_MOST_FAULTS = 100
# What feedback says beside a reading.
_OTHER_FLAGS = (FlagRule("failure"), FlagRule("said_alarm"))


class RefusedError(Exception):
    """A request that is not answered as it wanted; what is said of it goes to its sender.

    Attributes
    ----------
    kind
        A stable code; the problem's type is ``urn:presagio:problem:KIND``.
    members
        More members of the problem document, for clients that look for their own.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        title: str,
        detail: str,
        *,
        faults: Sequence[FieldFault] = (),
        headers: dict[str, str] | None = None,
        members: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.members = members or {}
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.faults, self.headers = list(faults[:_MOST_FAULTS]), headers or {}


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Document refusals of a route, for OpenAPI; 401 and 403 come with every token."""
    schema = {"$ref": schema_reference(Problem)}
    return {
        status.value: {
            "description": status.phrase,
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in statuses
    }


def shown(value: object) -> str:
    """Return a value as text that is safe to send back, shortened."""
    # Escaped to ASCII: lone surrogates, NaN and raw bytes survive as text.
    if isinstance(value, bytes):
        text = repr(value[:_LONGEST_ECHO])
    else:
        try:
            text = json.dumps(value, ensure_ascii=True, default=repr)
        except ValueError:
            # An integer of more digits than Python turns into text.
            text = "a huge number"
    return text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}…"


def value_fault(rule: NumberRule | FlagRule, field: str, reason: Reason, got: str) -> FieldFault:
    """Return the fault of a value of a reading."""
    fault = FieldFault(field=field, reason=reason, got=got, allowed=rule.allowed)
    if isinstance(rule, NumberRule):
        fault.minimum, fault.maximum = rule.feature.range or (None, None)
        fault.unit = rule.feature.unit
    return fault


def _rule(place: Sequence[str], spec: MachineSpec) -> tuple[int, NumberRule | FlagRule] | None:
    """Return what a value has to be, and where its name stands in a place."""
    rules = {rule.name: rule for rule in (*_OTHER_FLAGS, *input_rules(spec))}
    return next(((i, rules[part]) for i, part in enumerate(place) if part in rules), None)


# What these got and what is allowed, the check itself says.
_SAID_BY_CHECKS = (Reason.CONTRADICTION, Reason.MISSING, Reason.NOT_A_TIME)


def _fault(error: Any, spec: MachineSpec) -> FieldFault:
    place = [str(part) for part in error["loc"]]
    if (value := _rule(place, spec)) is not None:
        # What stands behind a flag is which of its two forms was tried.
        place = place[: value[0] + 1]
    field = shown(".".join(place))[1:-1] or "body"
    if error["type"] in _SAID_BY_CHECKS and "got" in error.get("ctx", {}):
        return FieldFault(field=field, reason=error["type"], **error["ctx"])
    got = "nothing" if error["type"] == "missing" else shown(error["input"])
    if value is not None:
        return value_fault(value[1], field, reason_of(error, value[1]), got)
    if error["type"] == "json_invalid":
        allowed = f"valid JSON in UTF-8 ({error.get('ctx', {}).get('error', error['msg'])})"
    else:
        allowed = str(error["msg"])
    return FieldFault(field=field, got=got, allowed=allowed)


def invalid(faults: Sequence[FieldFault]) -> RefusedError:
    """Return the refusal of a request for its faults."""
    listed = faults[:_MOST_FAULTS]
    return RefusedError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-request",
        "The request cannot be answered",
        "; ".join(message(f.field, f.got, f.allowed) for f in listed[:3])
        + (f"; and {len(faults) - 3} more" if len(faults) > 3 else ""),  # noqa: PLR2004
        faults=listed,
    )


def invalid_request(err: ValidationError, spec: MachineSpec) -> RefusedError:
    """Turn a validation error into the refusal that names all faults."""
    by_field = {
        fault.field: fault for fault in (_fault(e, spec) for e in err.errors(include_url=False))
    }
    return invalid(list(by_field.values()))


def problem_response(err: RefusedError) -> JSONResponse:
    """Return a refusal as a problem document."""
    problem = Problem(
        type=f"urn:presagio:problem:{err.kind}",
        title=err.title,
        status=err.status,
        detail=err.detail,
        errors=err.faults,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True) | err.members,
        err.status,
        headers=err.headers,
        media_type="application/problem+json",
    )


def internal_error() -> RefusedError:
    """Return what is said when something broke; the cause stays in the log, by request id."""
    return RefusedError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-error",
        "Something broke here",
        "the log says what, under the id in X-Request-ID",
    )


_RETRY = {"Retry-After": "10"}


def no_model(err: NoChampionError) -> RefusedError:
    """Return the refusal of what needs a model where there is none yet."""
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE, "no-model", "There is no model yet", str(err),
        headers=_RETRY,
    )  # fmt: skip


# Returns a page for a browser that is refused; None where a problem document is wanted.
BrowserPage = Callable[[Request, RefusedError], Response | None]


class Handlers:
    """Turns whatever a route raised into a refusal that is safe to send, and counts it."""

    def __init__(
        self,
        count: Callable[[str], None],
        spec: MachineSpec,
        browser_page: BrowserPage | None = None,
    ) -> None:
        self._count, self._spec, self._browser_page = count, spec, browser_page

    async def answer(self, request: Request, err: Exception) -> Response:
        """Answer an error; what it says of our own services stays in the log."""
        refusal = self._refusal(err)
        if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
            refusal.headers["Allow"] = _methods(request)
        self._count(refusal.kind)
        shown = None if self._browser_page is None else self._browser_page(request, refusal)
        return problem_response(refusal) if shown is None else shown

    def _refusal(self, err: Exception) -> RefusedError:
        if isinstance(err, RefusedError):
            return err
        if isinstance(err, NoChampionError):
            return no_model(err)
        if isinstance(err, RequestValidationError):
            return invalid([_fault(error, self._spec) for error in err.errors()])
        if isinstance(err, HTTPException):
            status = HTTPStatus(err.status_code)
            kind = status.phrase.lower().replace(" ", "-")
            headers = dict(err.headers or {})
            return RefusedError(status, kind, status.phrase, str(err.detail), headers=headers)
        return _of_our_services(err)


def _methods(request: Request) -> str:
    """Return the methods that a path has; the framework names those of its first route only."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in found for method in route.methods or ()}))


def _of_our_services(err: Exception) -> RefusedError:
    """Return the refusal for a service that does not answer, or for what broke here."""
    unavailable = HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(err, StorageError):
        _log.warning("the object store does not answer: %s", err)
        title = "The object store does not answer"
        remedy = "nothing was stored; send it again later"
        return RefusedError(unavailable, "store-unavailable", title, remedy, headers=_RETRY)
    if isinstance(err, RegistryError):
        _log.warning("the registry does not answer: %s", err)
        title, remedy = "The model registry does not answer", "ask again later"
        return RefusedError(unavailable, "registry-unavailable", title, remedy, headers=_RETRY)
    return internal_error()
