"""What is refused, or went wrong: which status, and in which words."""

import logging
from dataclasses import dataclass
from http import HTTPStatus
from uuid import uuid4

from presagio.console.catalogue import mark
from presagio.console.last_known import UNAVAILABLE
from presagio.errors import DataError, InvalidSpecError, NotFoundError, PresagioError
from presagio.sentences import Sentence

_log = logging.getLogger(__name__)


class RefusedError(PresagioError):
    """A request that is refused; ``status`` is the HTTP status."""

    def __init__(self, status: HTTPStatus, message: str | Sentence) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Problem:
    """A page instead of the one that was asked for.

    Attributes
    ----------
    title
        In English, to be translated.
    detail
        What failed, to be translated as far as it can be; or the number of an error.
    """

    status: HTTPStatus
    title: str
    detail: PresagioError | Sentence | str = ""


_TITLES = {
    HTTPStatus.FORBIDDEN: mark("You may not do this"),
    HTTPStatus.NOT_FOUND: mark("There is no such page"),
    HTTPStatus.METHOD_NOT_ALLOWED: mark("This address takes no such request"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: mark("That is too large"),
}
_REFUSED = mark("The request was refused")
_NOT_SHOWN = mark("This cannot be shown now")
_FAILED = mark("Something went wrong")


def refusal(status: HTTPStatus, detail: PresagioError | Sentence | str) -> Problem:
    """Return the page of a request that is refused."""
    return Problem(status, _TITLES.get(status, _REFUSED), detail)


def problem_of(err: Exception) -> Problem:
    """Return the page for an error."""
    if isinstance(err, RefusedError):
        return refusal(err.status, err)
    if isinstance(err, NotFoundError):
        return refusal(HTTPStatus.NOT_FOUND, err)
    if isinstance(err, UNAVAILABLE):
        _log.warning("a page cannot be shown: %s", err)
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, _NOT_SHOWN)
    if isinstance(err, DataError | InvalidSpecError):
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _REFUSED, err)
    number = uuid4().hex[:12]
    _log.error("error %s", number, exc_info=err)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, _FAILED, number)
