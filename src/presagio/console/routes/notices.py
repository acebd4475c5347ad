"""Which services do not answer: asked for by every page that is open."""

from starlette.responses import Response

from presagio.console.routing import Page, get
from presagio.console.visit import Visit


def _show(visit: Visit) -> Response:
    return visit.page("notices.html")


PAGE = Page(routes=(get("/notices", _show, updates=True),))
