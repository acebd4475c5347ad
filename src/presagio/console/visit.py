"""One request of one visitor: what a page is made from, and how it answers."""

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from presagio.console.addresses import read_part
from presagio.console.csrf import token_of
from presagio.console.forms import Form
from presagio.console.pages import Pages
from presagio.console.presentation import Presentation
from presagio.console.problems import Problem, RefusedError
from presagio.console.services import Services
from presagio.console.sessions import Session
from presagio.console.wording import text_of
from presagio.errors import PresagioError
from presagio.sentences import Sentence

Value = TypeVar("Value")
_TAG_DIGITS = 32


@dataclass(frozen=True)
class Surroundings:
    """What all requests share.

    Attributes
    ----------
    menu
        Address and English title of each page that has a place in the menu, in order.
    messages
        What pages say after a change, in English, by the key in the address.
    """

    services: Services
    pages: Pages
    presentations: Mapping[str, Presentation]
    menu: tuple[tuple[str, str], ...]
    messages: Mapping[str, str]


@dataclass(frozen=True)
class Updating:
    """A part of a page that updates itself: HTML, and what its content is known by."""

    html: Markup
    tag: str

    def __html__(self) -> str:
        """Return it for a template."""
        return self.html


@dataclass
class Visit:
    """A request of somebody.

    Attributes
    ----------
    session
        Who asks; None where nobody is signed in, which only pages without a scope see.
    secret
        Of the visitor's cookie: forms carry a token that follows from it.
    form
        What came with the request.
    place
        The address of the page that is shown, where another one was asked for.
    stale_since
        When the oldest of what was read was true, where a source does not answer now.
    """

    request: Request
    around: Surroundings
    language: str
    session: Session | None = None
    secret: str = ""
    form: Form = field(default_factory=Form)
    stale_since: datetime | None = None
    place: str = ""

    @property
    def services(self) -> Services:
        """What is outside of this program."""
        return self.around.services

    @property
    def show(self) -> Presentation:
        """Writes numbers, times and readings."""
        return self.around.presentations[self.language]

    @property
    def here(self) -> str:
        """The address of the page that is shown, to come back to."""
        url = self.request.url
        if self.place or self.request.method != "GET":
            return self.place or "/"
        return f"{url.path}?{url.query}" if url.query else url.path

    @property
    def who(self) -> str:
        """The name of who is signed in, for what is written down.

        Raises
        ------
        RefusedError
            If nobody is.
        """
        if self.session is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, Sentence("nobody is signed in"))
        return self.session.name

    def may(self, scope: str) -> bool:
        """Tell whether the visitor has a scope."""
        return self.session is not None and self.session.may(scope)

    def part(self, name: str) -> str:
        """Return a part of the path, such as a unit's name.

        Raises
        ------
        NotFoundError
            If it is no text.
        """
        return read_part(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """Return a field of the address without blanks around it.

        Raises
        ------
        RefusedError
            If it is no text that PostgreSQL takes.
        """
        value = self.request.query_params.get(name, default).strip()
        if "\0" in value:
            raise RefusedError(HTTPStatus.BAD_REQUEST, Sentence("a field has a NUL in it"))
        return value

    def translate(self, message: str, **values: object) -> str:
        """Return a text in the visitor's language, with values put in."""
        found = self.show.catalogue.gettext(message)
        return found % values if values else found

    def text(self, found: PresagioError | Sentence | str) -> str:
        """Return what came from below the console, as :func:`.wording.text_of` does."""
        return text_of(self.show, found)

    def read(self, key: Hashable, source: Callable[[], Value]) -> Value:
        """Read what a page shows; the last known value where the source does not answer.

        The page then says since when what it shows is true.

        Parameters
        ----------
        key
            What is read, with everything that it depends on.
        source
            Reads it.

        Raises
        ------
        StorageError, RegistryError, StackError
            If the source does not answer, and it was not read before.
        """
        reading = self.services.last_known.read(key, source)
        if reading.fault is not None:
            self.stale_since = min(self.stale_since or reading.at, reading.at)
        value: Value = reading.value
        return value

    def _rendered(self, template: str, values: Mapping[str, Any]) -> str:
        common = {
            "visit": self, "show": self.show, "language": self.language,
            "csrf_token": token_of(self.secret), "menu": self.around.menu,
            "outages": self.services.watch.outages,
            "done": self.around.messages.get(self.query("done"), ""),
        }  # fmt: skip
        return self.around.pages.render(template, self.language, {**common, **values})

    def page(self, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
        """Answer with a page: ``templates/<template>`` with these values."""
        return HTMLResponse(self._rendered(template, values), status)

    def updating(self, template: str, where: str, **values: Any) -> Updating:
        """Render a part of a page that asks for its newest state by itself.

        A page puts it where it belongs (``{{ units }}``); the address ``where`` answers it alone.

        Parameters
        ----------
        template, **values
            What it shows.
        where
            The address of this part.
        """
        body = self._rendered(template, values)
        tag = hashlib.sha256(body.encode()).hexdigest()[:_TAG_DIGITS]
        wrapped = self._rendered(
            "updating.html",
            {"body": Markup(body), "tag": tag, "where": where, "part": template.partition(".")[0]},  # noqa: S704 - a template's
        )
        # It says itself how old it is; the page around it need not.
        self.stale_since = None
        return Updating(Markup(wrapped), tag)  # noqa: S704 - likewise

    def answer(self, part: Updating) -> Response:
        """Answer with such a part; 304 where the browser has it already."""
        headers = {"ETag": f'"{part.tag}"'}
        if self.request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return HTMLResponse(part.html, headers=headers)

    def problem(self, problem: Problem) -> Response:
        """Answer with a page that says what is wrong."""
        return self.page("problem.html", problem.status, problem=problem)

    def go(self, where: str, done: str = "") -> Response:
        """Send the browser to another page after a change.

        Parameters
        ----------
        where
            The page's address.
        done
            The key of the message that it shows.
        """
        mark = "&" if "?" in where else "?"
        return RedirectResponse(
            f"{where}{mark}done={done}" if done else where, HTTPStatus.SEE_OTHER
        )
