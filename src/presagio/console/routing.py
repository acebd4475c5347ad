"""How a page is declared: its addresses, what each answers, and its place in the menu."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from starlette.responses import Response

from presagio.console.sessions import OPERATE, VIEW
from presagio.console.visit import Visit

Answer = Callable[[Visit], Response]
Body = Literal["none", "form", "files"]


@dataclass(frozen=True)
class Route:
    """An address.

    Attributes
    ----------
    path
        Parts in braces hold any text: ``/units/{fleet}/{unit}``.
    answer
        Called in a thread: it may wait for databases.
    scope
        What the visitor needs; None for pages that need no sign-in.
    body
        What comes with the request.
    updates
        Whether a page asks it by itself, so that asking does not prolong a session.
    at_once
        Whether it is answered where requests are read: it waits for nothing, and for no thread that
        other pages may hold. Nobody is looked up, so that it is for everybody.
    """

    method: Literal["GET", "POST"]
    path: str
    answer: Answer
    scope: str | None
    body: Body = "none"
    updates: bool = False
    at_once: bool = False


def get(path: str, answer: Answer, *, scope: str | None = VIEW, updates: bool = False) -> Route:
    """Declare an address that shows something and changes nothing."""
    return Route("GET", path, answer, scope, updates=updates)


def post(path: str, answer: Answer, *, scope: str | None = OPERATE, body: Body = "form") -> Route:
    """Declare an address that changes something: forms are sent to it."""
    return Route("POST", path, answer, scope, body)


@dataclass(frozen=True)
class MenuEntry:
    """A place in the menu; ``title`` is English and marked for translation."""

    order: int
    path: str
    title: str


@dataclass(frozen=True)
class Page:
    """What a module of :mod:`presagio.console.routes` declares as ``PAGE``.

    Attributes
    ----------
    messages
        What the page says after a change, by the key that :meth:`Visit.go` is given.
    """

    routes: tuple[Route, ...]
    menu: MenuEntry | None = None
    messages: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
