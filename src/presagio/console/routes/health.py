"""Whether the console runs, and which services it does not reach: for engines and balancers."""

from starlette.responses import JSONResponse, Response

from presagio.console.routing import Page, Route
from presagio.console.visit import Visit
from presagio.serving.http.draining import is_draining


def _live(_visit: Visit) -> Response:
    return JSONResponse({"status": "alive"})


def _ready(visit: Visit) -> Response:
    """Pages come without the other services too, and say so: these do not make it unready."""
    down = [outage.name for outage in visit.services.watch.outages]
    if is_draining():
        return JSONResponse({"status": "stopping", "unavailable": down}, 503)
    return JSONResponse({"status": "ready", "unavailable": down})


PAGE = Page(
    routes=(
        Route("GET", "/health/live", _live, None, at_once=True),
        Route("GET", "/health/ready", _ready, None, at_once=True),
    )
)
