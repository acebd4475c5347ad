"""Choosing the language."""

from starlette.responses import Response

from presagio.console import cookies
from presagio.console.addresses import own_address
from presagio.console.catalogue import LANGUAGES
from presagio.console.routing import Page, get
from presagio.console.visit import Visit
from presagio.errors import NotFoundError
from presagio.sentences import Sentence


def _choose(visit: Visit) -> Response:
    code = visit.part("code")
    if code not in LANGUAGES:
        raise NotFoundError(Sentence("there is no language %(code)s", {"code": code[:20]}))
    response = visit.go(own_address(visit.query("back")))
    cookies.remember_language(visit.request, response, code)
    return response


PAGE = Page(routes=(get("/language/{code}", _choose, scope=None),))
