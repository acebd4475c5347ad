"""Refusals: what was wrong, what came, what is allowed; and never a 500 for bad input."""

import json
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from presagio.machine.spec import MachineSpec
from presagio.serving.contract import Fault, Problem, allowed_range

_LONGEST_ECHO = 80


class InvalidRequestError(Exception):
    """A request that cannot be answered; carries the faults that are reported."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.got}" for fault in faults))
        self.faults = faults


def _shown(value: object) -> str:
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


def _allowed(error: Any, spec: MachineSpec) -> str:
    place = [str(part) for part in error["loc"]]
    for feature in spec.features:
        if feature.name in place:
            return f"a number, {allowed_range(feature)}"
    if place and place[-1] in spec.indicator_names:
        return "true or false"
    if error["type"] == "json_invalid":
        return f"valid JSON in UTF-8 ({error.get('ctx', {}).get('error', error['msg'])})"
    return str(error["msg"])


def invalid_request(err: ValidationError, spec: MachineSpec) -> InvalidRequestError:
    """Turn a validation error into faults that name field, value and what is allowed."""
    return InvalidRequestError(
        [
            Fault(
                field=".".join(map(str, error["loc"])) or "body",
                got="nothing" if error["type"] == "missing" else _shown(error["input"]),
                allowed=_allowed(error, spec),
            )
            for error in err.errors(include_url=False)
        ]
    )


def problem_response(problem: Problem) -> JSONResponse:
    """Return a problem document."""
    return JSONResponse(problem.model_dump(), problem.status, media_type="application/problem+json")


Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, wanted: type[Body], spec: MachineSpec) -> Body:
    """Read a request's JSON.

    From bytes to model in one step: faster than parsing JSON first, and what is no JSON, no UTF-8
    or no number is a fault of the request like any other.

    Raises
    ------
    InvalidRequestError
        If it is not what is wanted.
    """
    try:
        return wanted.model_validate_json(await request.body())
    except ValidationError as err:
        raise invalid_request(err, spec) from err


async def unavailable(_request: Request, _err: Exception) -> JSONResponse:
    """Answer a :class:`presagio.errors.StorageError` with 503; its text stays in the log."""
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return problem_response(
        Problem(
            title="The object store does not answer",
            status=status,
            detail="nothing was stored; send it again later",
        )
    )


async def refuse(_request: Request, err: Exception) -> JSONResponse:
    """Answer an :class:`InvalidRequestError` with 422."""
    faults = err.faults if isinstance(err, InvalidRequestError) else []
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return problem_response(
        Problem(
            title="The request cannot be answered",
            status=status,
            detail="; ".join(f"{f.field}: got {f.got}, allowed: {f.allowed}" for f in faults),
            errors=faults,
        )
    )
