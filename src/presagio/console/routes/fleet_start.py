"""A fleet on its way: added, first file, first model, live; the page follows by itself."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from presagio.console.addresses import address
from presagio.console.catalogue import mark
from presagio.console.last_known import UNAVAILABLE
from presagio.console.routing import Page, get, post
from presagio.console.visit import Updating, Visit
from presagio.errors import DataError, NotFoundError, SettingsError, StackError
from presagio.fleet import Fleet
from presagio.jobs.api_client import reaching
from presagio.jobs.first_model import (
    FirstModel,
    Training,
    can_start,
    first_model,
    start_training,
    training,
)
from presagio.jobs.fleets import list_fleets
from presagio.sentences import Sentence
from presagio.storage.audit import AuditLog
from presagio.storage.fleets import read_added

_NOT_YET = mark(
    "Airflow cannot start the training yet: %(why)s. It reads new fleets every half a minute; try "
    "again then."
)


@dataclass(frozen=True)
class _Seen:
    """How far the fleet is.

    Attributes
    ----------
    served
        Version of the model that the API answers with; empty for none, None where nobody knows.
    run
        What the run does that somebody has started; None where Airflow does not say.
    """

    state: FirstModel
    served: str | None
    run: Training | None


def _fleet(visit: Visit) -> Fleet:
    name, services = visit.part("name"), visit.services
    known = services.fleets.by_name.get(name)
    if known is not None:
        return known
    # Added a moment ago, perhaps on another replica.
    found = read_added(services.settings, services.store, name) if name.isidentifier() else None
    if found is None:
        raise NotFoundError(Sentence("there is no fleet %(name)s", {"name": name[:80]}))
    return found


def _served(visit: Visit, fleet: Fleet) -> str | None:
    try:
        with reaching(visit.services.settings):
            listed: list[dict[str, Any]] = list_fleets(visit.services.settings)["fleets"]
    except StackError:
        return None
    found = next((one for one in listed if one["name"] == fleet.name), None)
    return str(found["version"]) if found and found["model"] != "none" else ""


def _run(visit: Visit, fleet: Fleet) -> Training | None:
    if not can_start(fleet):
        return "none"
    try:
        return training(AuditLog(visit.services.engine), fleet)
    except (StackError, *UNAVAILABLE):
        return None


def _look(visit: Visit, fleet: Fleet) -> _Seen:
    services = visit.services
    state = first_model(services.ledger, services.promotions, fleet)
    served = _served(visit, fleet)
    is_waiting = not served and state.champion is None
    return _Seen(state, served, _run(visit, fleet) if is_waiting else "none")


def _steps(visit: Visit, fleet: Fleet) -> Updating:
    seen = visit.read(("fleet start", fleet.name), lambda: _look(visit, fleet))
    return visit.updating(
        "fleet_steps.html", address("fleets", "new", fleet.name, "steps"), fleet=fleet, seen=seen,
        state=seen.state, can_start=can_start(fleet),
    )  # fmt: skip


def _show(visit: Visit) -> Response:
    fleet = _fleet(visit)
    return visit.page("fleet_start.html", fleet=fleet, steps=_steps(visit, fleet))


def _update(visit: Visit) -> Response:
    return visit.answer(_steps(visit, _fleet(visit)))


def _train(visit: Visit) -> Response:
    fleet = _fleet(visit)
    try:
        start_training(AuditLog(visit.services.engine), fleet, who=visit.who)
    except (StackError, SettingsError) as err:
        raise DataError(Sentence(_NOT_YET, {"why": str(err)[:200]})) from err
    return visit.go(address("fleets", "new", fleet.name), "training-started")


PAGE = Page(
    routes=(
        get("/fleets/new/{name}", _show),
        get("/fleets/new/{name}/steps", _update, updates=True),
        post("/fleets/new/{name}/train", _train, scope="admin"),
    ),
    messages=MappingProxyType({
        "training-started": mark("Airflow trains the first model now; that takes some minutes."),
    }),
)  # fmt: skip
