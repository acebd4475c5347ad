"""Drift: whether the newest readings are still like those that the champion was trained on."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from starlette.responses import Response

from presagio.console.addresses import address
from presagio.console.catalogue import mark
from presagio.console.routing import MenuEntry, Page, get
from presagio.console.visit import Visit
from presagio.console.writing import as_markup, writing_of
from presagio.errors import DataError, NotFoundError
from presagio.fleet import Fleet
from presagio.lifecycle.drift_history import DriftHistory, KeptReport
from presagio.lifecycle.drift_page import drift_body, summary
from presagio.lifecycle.drift_report import ColumnDrift, DriftReport
from presagio.machine.spec import MachineSpec
from presagio.machine.titles import title_in
from presagio.sentences import Sentence
from presagio.settings import MONITORING
from presagio.storage.objects import ObjectStore

_HISTORY = 20
_TIME = "%Y%m%dT%H%M%SZ"
# The column that the model itself makes.
_PROBABILITY = mark("Predicted probability of a failure")


@lru_cache(maxsize=256)
def _kept(store: ObjectStore, bucket: str, folder: str, at: datetime) -> KeptReport | None:
    """Read a report, which never changes; None where it is no report of ours."""
    try:
        return DriftHistory(store, bucket, folder).read(at)
    except DataError:
        return None


def _reports(visit: Visit, fleet: Fleet) -> dict[datetime, KeptReport]:
    """Return the newest reports of a fleet, the newest first."""
    settings, store = fleet.settings, visit.services.store
    bucket, folder = settings.data_bucket, settings.place(MONITORING)

    def look() -> dict[datetime, KeptReport]:
        times = DriftHistory(store, bucket, folder).times(limit=_HISTORY)
        found = {at: _kept(store, bucket, folder, at) for at in times}
        return {at: kept for at, kept in found.items() if kept is not None}

    return visit.read(("drift", fleet.name), look)


class _Shown:
    """Columns of a report as a visitor sees them: titles in their language, units for show."""

    def __init__(self, visit: Visit, spec: MachineSpec) -> None:
        self._units = visit.show.units_of(spec)
        self._language, self._probability = visit.language, visit.translate(_PROBABILITY)
        self._features = {feature.name: feature for feature in spec.features}
        self._others = {each.name: each.title or each.name for each in spec.categories}

    def report(self, report: DriftReport) -> DriftReport:
        """Return a report whose columns are shown."""
        return replace(report, columns=tuple(map(self._column, report.columns)))

    def _column(self, column: ColumnDrift) -> ColumnDrift:
        if column.name == "probability":
            return replace(column, title=self._probability)
        feature = self._features.get(column.name)
        if feature is None:
            title = self._others.get(column.name, column.title or column.name)
            return replace(column, title=title_in(title, self._language))
        unit = self._units.of(feature.name)
        name = title_in(feature.title or feature.name, self._language)
        title = f"{name} [{unit.symbol}]" if unit.symbol else name
        return replace(column, title=title, edges=tuple(map(unit.reading, column.edges)))


def _fleet(visit: Visit) -> Fleet:
    name = visit.query("fleet")
    if name:
        return visit.services.fleet(name)
    return next(iter(visit.services.fleets.by_name.values()), None) or visit.services.fleet("")


def _chosen(visit: Visit, reports: dict[datetime, KeptReport]) -> datetime | None:
    """Return which report the address names; the newest where it names none."""
    wanted = visit.query("at")
    if not wanted:
        return next(iter(reports), None)
    try:
        at = datetime.strptime(wanted, _TIME).replace(tzinfo=UTC)
    except ValueError:
        at = None
    if at not in reports:
        raise NotFoundError(Sentence("There is no report of this time any more."))
    return at


def _show(visit: Visit) -> Response:
    fleet = _fleet(visit)
    reports = _reports(visit, fleet)
    chosen, shown, say = _chosen(visit, reports), _Shown(visit, fleet.spec), writing_of(visit.show)
    body = None
    if chosen is not None:
        kept = reports[chosen]
        window = visit.translate(
            mark("The newest %(count)s readings on %(when)s"),
            count=visit.show.number(kept.report.window_rows), when=visit.show.moment(kept.at),
        )  # fmt: skip
        model = f"{kept.model} {kept.version}"
        body = as_markup(drift_body(shown.report(kept.report), model=model, window=window, say=say))
    history = [
        (at, address("drift", fleet=fleet.name, at=at.strftime(_TIME)), each.version,
         summary(shown.report(each.report), say), bool(each.report.drifted))
        for at, each in reports.items()
    ]  # fmt: skip
    return visit.page(
        "drift.html", fleet=fleet, fleets=list(visit.services.fleets.by_name), chosen=chosen,
        body=body, history=history,
    )  # fmt: skip


PAGE = Page(
    routes=(get("/drift", _show),), menu=MenuEntry(60, address("drift"), mark("Drift"))
)  # fmt: skip
