"""Fleets of a running deployment, asked for and changed over the inference API."""

from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from presagio.errors import DataError, InvalidSpecError, NotFoundError, StackError
from presagio.jobs.api_client import authorization, reaching
from presagio.machine.spec import parse_spec
from presagio.settings import Settings

_LIMIT_S = 60.0


def _ask(
    settings: Settings, method: str, path: str, scope: str = "", content: bytes | None = None
) -> Any:
    url = f"{settings.api_url}{path}"
    with reaching(settings):
        headers = authorization(settings, scope) | {"Content-Type": "application/toml"}
        answer = httpx.request(method, url, headers=headers, content=content, timeout=_LIMIT_S)
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
        detail, faults = problem["detail"], problem.get("errors", [])
    except (ValueError, KeyError, TypeError):
        raise StackError(f"{url} answers {answer.status_code}: {answer.text[:200]}") from None
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise NotFoundError(detail)
    if answer.status_code == HTTPStatus.CONFLICT:
        raise DataError(detail)
    if answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise InvalidSpecError(detail, tuple(fault["got"] for fault in faults))
    raise StackError(f"{url} answers {answer.status_code}: {detail}")


def list_fleets(settings: Settings) -> dict[str, Any]:
    """Return the fleets that the API serves (``fleets``), and those at fault (``faults``).

    Raises
    ------
    StackError
        If the API does not answer, or refuses.
    """
    return dict(_ask(settings, "GET", "/fleets"))


def add_fleet(settings: Settings, path: Path) -> dict[str, Any]:
    """Have the API serve a fleet by its machine spec, and return what it says of it.

    Raises
    ------
    InvalidSpecError
        If it is no machine spec; found out here, with lines, before the API is asked.
    DataError
        If the deployment's settings name a fleet of this name.
    StackError
        If the API does not answer, or refuses.
    """
    text = path.read_bytes()
    parse_spec(text, str(path))
    return dict(_ask(settings, "POST", "/fleets", "admin", text))


def remove_fleet(settings: Settings, name: str) -> dict[str, Any]:
    """Have the API serve a fleet no more that was added.

    Raises
    ------
    NotFoundError
        If there is no such fleet.
    DataError
        If the deployment's settings name it.
    StackError
        If the API does not answer, or refuses.
    """
    return dict(_ask(settings, "DELETE", f"/fleets/{quote(name, safe='')}", "admin"))
