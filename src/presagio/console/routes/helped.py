"""Did it help? Failures caught and missed, false alarms, lead times and costs, by month."""

from datetime import date

from babel.dates import format_skeleton
from starlette.responses import Response

from presagio.console.addresses import address
from presagio.console.catalogue import mark
from presagio.console.routing import MenuEntry, Page, get
from presagio.console.series_view import Times
from presagio.console.visit import Visit
from presagio.fleet import Fleet
from presagio.jobs.alarm_outcomes import FleetOutcomes, fleet_outcomes
from presagio.machine.lead_time import TOO_EARLY


def _chosen(visit: Visit) -> Fleet | None:
    """Return the fleet that is asked for; without a name the first one that can have alarms."""
    known = visit.services.fleets
    if visit.query("fleet"):
        return known.get(visit.query("fleet"))
    series = (fleet for fleet in known.by_name.values() if fleet.spec.is_series)
    return next(series, next(iter(known.by_name.values()), None))


def _count(visit: Visit, fleet: Fleet) -> FleetOutcomes | None:
    """Return what became of a fleet's alarms; None where readings have no unit and time."""
    if not fleet.spec.is_series:
        return None
    services = visit.services
    return visit.read(
        ("helped", fleet.name, fleet.spec.digest),
        lambda: fleet_outcomes(
            services.intake(fleet), services.engine, services.failures(fleet), visit.show.zone
        ),
    )


def _month(visit: Visit, written: str) -> str:
    year, month = map(int, written.split("-"))
    return format_skeleton("yMMMM", date(year, month, 1), locale=visit.show.catalogue.locale)


def _show(visit: Visit) -> Response:
    fleet = _chosen(visit)
    found = None if fleet is None else _count(visit, fleet)
    months = () if found is None else found.months
    day = ""
    if fleet is not None and fleet.spec.time is not None:
        day = Times(visit.show, fleet.spec.time).day
    return visit.page(
        "helped.html", fleet=fleet, found=found, day=day,
        rows=[(_month(visit, month.month), month) for month in months],
        fleets=list(visit.services.fleets.by_name), times_horizon=int(TOO_EARLY),
        horizon=fleet.spec.label.in_words if fleet and found and found.has_horizon else None,
    )  # fmt: skip


PAGE = Page(
    routes=(get("/helped", _show),),
    menu=MenuEntry(30, address("helped"), mark("Did it help?")),
)
