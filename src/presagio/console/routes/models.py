"""The models of each fleet: who is champion, why, and who may follow; promote and roll back."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.responses import Response

from presagio.console.addresses import MlflowPages, address
from presagio.console.catalogue import mark
from presagio.console.problems import RefusedError
from presagio.console.routing import MenuEntry, Page, get, post
from presagio.console.sessions import ADMIN
from presagio.console.visit import Visit
from presagio.console.writing import as_markup, titled_card, writing_of
from presagio.errors import ChampionChangedError, InvalidArtifactError, UnknownVersionError
from presagio.fleet import Fleet
from presagio.jobs.api_client import announce_champion
from presagio.pages.model_card import card_body
from presagio.registry.reader import RegistryReader, open_reader
from presagio.registry.versions import GATE_TAG, ListedVersion, RegisteredVersion
from presagio.sentences import Sentence
from presagio.storage.audit import AuditLog
from presagio.storage.promotions import RecordedDecision

if TYPE_CHECKING:
    from presagio.lifecycle.promotion import Promoter, Seen

_VERSIONS, _HISTORY = 10, 50
_LONGEST_WHY, _LONGEST_NUMBER = 2000, 18
_KINDS = {
    "promotion": mark("became champion"), "rollback": mark("was made champion again"),
    "refusal": mark("was not promoted"),
}  # fmt: skip
# What MLflow's tag says of a version on which the ledger has no decision.
_GATES: dict[str, str] = {
    "passed": mark("passed"), "not promoted": mark("not promoted"), "forced": mark("forced"),
}  # fmt: skip


@dataclass(frozen=True)
class _Models:
    """What is known of the models of a fleet.

    Attributes
    ----------
    champion
        None where there is none yet.
    versions
        The newest ones.
    history
        What was decided about them, the newest first.
    """

    champion: RegisteredVersion | None
    versions: tuple[ListedVersion, ...]
    history: tuple[RecordedDecision, ...]

    @property
    def champion_number(self) -> str:
        """The champion's number; empty where there is none."""
        return "" if self.champion is None else self.champion.version

    @property
    def earlier(self) -> tuple[str, ...]:
        """Versions that were champion before, the last one first."""
        found = [each.decision.previous for each in self.history
                 if each.decision.kind != "refusal" and each.decision.previous]  # fmt: skip
        return tuple(dict.fromkeys(n for n in found if n != self.champion_number))

    def newest_decision(self, number: str) -> RecordedDecision | None:
        """Return what was decided about a version last."""
        return next((each for each in self.history if each.decision.version == number), None)

    def listed(self, number: str) -> ListedVersion | None:
        """Return a version of those that are listed."""
        return next((each for each in self.versions if each.version.version == number), None)


def _read(visit: Visit, fleet: Fleet) -> _Models:
    def look() -> _Models:
        registry = open_reader(fleet.settings)
        history = visit.services.promotions.history(registry.name, limit=_HISTORY)
        return _Models(
            registry.find_champion(), tuple(registry.listing(limit=_VERSIONS)), tuple(history)
        )

    return visit.read(("models", fleet.name), look)


def _champion(visit: Visit, fleet: Fleet) -> RegisteredVersion | None:
    registry = open_reader(fleet.settings)
    return visit.read(("champion", fleet.name), registry.find_champion)


def _show_all(visit: Visit) -> Response:
    fleets = visit.services.fleets.by_name
    if len(fleets) == 1:
        return _fleet_page(visit, next(iter(fleets.values())))
    found = {name: _champion(visit, fleet) for name, fleet in fleets.items()}
    return visit.page("models.html", fleets=fleets, champions=found)


def _links(visit: Visit, fleet: Fleet) -> MlflowPages:
    return MlflowPages(visit.services.settings.mlflow_pages_url, fleet.settings.model_name)


def _fleet_page(
    visit: Visit, fleet: Fleet, status: HTTPStatus = HTTPStatus.OK, fault: str = ""
) -> Response:
    models = _read(visit, fleet)
    return visit.page(
        "models_fleet.html", status, fleet=fleet, models=models, fault=fault, kinds=_KINDS,
        may=visit.may(ADMIN), why=visit.form.text("why"), longest=_LONGEST_WHY, gate=GATE_TAG,
        gates=_GATES,
        many=len(visit.services.fleets.by_name) > 1, mlflow=_links(visit, fleet),
    )  # fmt: skip


def _show_fleet(visit: Visit) -> Response:
    return _fleet_page(visit, visit.services.fleet(visit.part("fleet")))


def _number(text: str) -> str:
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER:
        return text
    raise UnknownVersionError(Sentence("There is no version of this number."))


def _version_page(
    visit: Visit, fleet: Fleet, number: str, status: HTTPStatus = HTTPStatus.OK, fault: str = ""
) -> Response:
    models = _read(visit, fleet)

    spec = fleet.spec

    def look() -> str | None:
        registry: RegistryReader = open_reader(fleet.settings)
        found = registry.card(registry.version(number))
        if found is None:
            return None
        return card_body(titled_card(found, spec, visit.language), writing_of(visit.show))

    damaged = ""
    try:
        card = visit.read(("card", visit.language, fleet.name, number), look)
    except InvalidArtifactError as err:
        card, damaged = None, visit.text(err)
    return visit.page(
        "models_version.html", status, fleet=fleet, models=models, number=number, fault=fault,
        version=models.listed(number), decision=models.newest_decision(number), kinds=_KINDS,
        card=None if card is None else as_markup(card), damaged=damaged, may=visit.may(ADMIN),
        why=visit.form.text("why"), longest=_LONGEST_WHY, title=fleet.settings.model_name,
        mlflow=_links(visit, fleet),
    )  # fmt: skip


def _show_version(visit: Visit) -> Response:
    fleet = visit.services.fleet(visit.part("fleet"))
    return _version_page(visit, fleet, _number(visit.part("version")))


def _why(visit: Visit) -> str:
    """Return the reason that was given.

    Raises
    ------
    RefusedError
        If it is empty or too long.
    """
    why = visit.form.text("why")
    if not why:
        fault = Sentence("Say why: it is written down.")
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, fault)
    if len(why) > _LONGEST_WHY:
        fault = Sentence("The reason is too long.")
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, fault)
    return why


Again = Callable[[HTTPStatus, str], Response]


def _decided(visit: Visit, decide: Callable[[], str], where: str, again: Again) -> Response:
    """Decide something and show it; what is wrong is said on the page where it was asked for."""
    try:
        return visit.go(where, decide())
    except ChampionChangedError as err:
        if err.champion is None:
            fault = visit.translate(mark("There is no champion any more. Nothing was changed."))
        else:
            fault = visit.translate(
                mark("Version %(version)s has become champion meanwhile. Nothing was changed; "
                     "decide again."),
                version=err.champion,
            )  # fmt: skip
        return again(HTTPStatus.CONFLICT, fault)
    except RefusedError as err:
        return again(err.status, visit.text(err))
    except InvalidArtifactError as err:
        return again(HTTPStatus.UNPROCESSABLE_ENTITY, visit.text(err))


def _promoter(visit: Visit, fleet: Fleet) -> "Promoter":
    # MLflow's client, which takes seconds to import: for who promotes only.
    from presagio.lifecycle.gate import GateRules  # noqa: PLC0415
    from presagio.lifecycle.promotion import Promoter  # noqa: PLC0415
    from presagio.registry.writer import open_registry  # noqa: PLC0415

    settings = fleet.settings
    rules = GateRules(settings.gate_confidence, settings.gate_worst_category)
    registry = open_registry(settings)
    return Promoter(registry, visit.services.promotions, fleet.spec, rules, settings)


def _seen(visit: Visit) -> "Seen":
    from presagio.lifecycle.promotion import Seen  # noqa: PLC0415

    return Seen(visit.form.text("seen") or None)


def _done(fleet: Fleet, recorded: RecordedDecision) -> str:
    """Tell the API, and return the key of the message."""
    if recorded.decision.kind == "refusal":
        return "model-refused"
    reached = "unreachable" not in announce_champion(fleet.settings)
    return "model-serves" if reached else "model-follows"


def _promote(visit: Visit) -> Response:
    from presagio.jobs.promote import promote  # noqa: PLC0415

    fleet = visit.services.fleet(visit.part("fleet"))
    number = _number(visit.part("version"))

    def decide() -> str:
        recorded = promote(
            _promoter(visit, fleet), number, who=visit.who, why=_why(visit), seen=_seen(visit),
            force=visit.form.text("force") == "yes", audit=AuditLog(visit.services.engine),
        )  # fmt: skip
        return _done(fleet, recorded)

    return _decided(
        visit, decide, address("models", fleet.name, number),
        lambda status, fault: _version_page(visit, fleet, number, status, fault),
    )  # fmt: skip


def _roll_back(visit: Visit) -> Response:
    from presagio.jobs.promote import roll_back  # noqa: PLC0415

    fleet = visit.services.fleet(visit.part("fleet"))
    number = _number(visit.form.text("version"))

    def decide() -> str:
        recorded = roll_back(
            _promoter(visit, fleet), number, who=visit.who, why=_why(visit), seen=_seen(visit),
            audit=AuditLog(visit.services.engine),
        )  # fmt: skip
        return _done(fleet, recorded)

    return _decided(
        visit, decide, address("models", fleet.name),
        lambda status, fault: _fleet_page(visit, fleet, status, fault),
    )  # fmt: skip


PAGE = Page(
    routes=(
        get("/models", _show_all),
        get("/models/{fleet}", _show_fleet),
        post("/models/{fleet}/roll-back", _roll_back, scope=ADMIN),
        get("/models/{fleet}/{version}", _show_version),
        post("/models/{fleet}/{version}/promote", _promote, scope=ADMIN),
    ),
    menu=MenuEntry(50, address("models"), mark("Models")),
    messages=MappingProxyType({
        "model-serves": mark("Done: the API serves the new champion."),
        "model-follows": mark("Done. The API does not answer now; it follows within a minute."),
        "model-refused": mark("The gate did not let it pass: its reasons stand below."),
    }),
)  # fmt: skip
