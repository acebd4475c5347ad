"""Files: the checker's verdict before they are sent, sending them, what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType

from starlette.responses import Response

from presagio.console.addresses import address, read_number
from presagio.console.catalogue import mark
from presagio.console.last_known import UNAVAILABLE
from presagio.console.problems import RefusedError
from presagio.console.reasons import title_of
from presagio.console.routing import MenuEntry, Page, get, post
from presagio.console.uploads import Received, intake_of, preview, receive, send
from presagio.console.visit import Updating, Visit
from presagio.errors import ConflictError, UnreadableFileError
from presagio.fleet import Fleet
from presagio.ingest.checking import SUFFIXES
from presagio.ingest.incoming import is_file
from presagio.ingest.previewing import Preview
from presagio.sentences import Count, Sentence

_PER_PAGE = 30
_MOST_WAITING = 20
_MOST_FILES = 20
_LONGEST_SHOWN = 200
VERDICTS = ("processed", "quarantined", "duplicate")
_NO_FILE = mark("Choose a file first.")
_TOO_MANY = mark("At most %(number)s files are taken at once.")
_NO_EVENTS = mark("The fleet %(fleet)s has no units and times, so it has no events.")
_OTHER_BYTES = mark("%(name)s is not a file that was checked just now. Check it first.")


@dataclass(frozen=True)
class _Filter:
    """Which receipts are shown, and from which one on."""

    fleet: str
    verdict: str
    before: int | None

    @classmethod
    def of(cls, visit: Visit) -> "_Filter":
        verdict, before = visit.query("verdict"), read_number(visit.query("before"))
        return cls(visit.query("fleet"), verdict if verdict in VERDICTS else "", before)

    def address(self, *parts: str, **changed: object) -> str:
        """Return an address with this filter, some of it changed."""
        fields = {"fleet": self.fleet, "verdict": self.verdict, "before": self.before}
        return address(*(parts or ("files",)), **{**fields, **changed})


@dataclass(frozen=True)
class Checked:
    """A file and the verdict on it."""

    name: str
    verdict: Preview
    sha256: str = ""


def _receipts(visit: Visit, wanted: _Filter) -> Updating:
    services = visit.services
    fleets = services.fleets.by_name
    found = fleets.get(wanted.fleet)
    ledger = services.ledger.of_fleet(found.settings.fleet if found else "")
    seen = visit.read(("receipts", wanted), lambda: ledger.receipts(
        verdict=wanted.verdict or None, before=wanted.before, limit=_PER_PAGE + 1,
        every_fleet=found is None,
    ))  # fmt: skip
    default = services.fleets.default
    return visit.updating(
        "files_receipts.html", wanted.address("receipts"), receipts=seen[:_PER_PAGE],
        more=len(seen) > _PER_PAGE, wanted=wanted, waiting=_waiting(visit), title_of=title_of,
        default_fleet=default.name if default else "",
    )  # fmt: skip


def _waiting(visit: Visit) -> Sequence[str]:
    """Return names of files that wait to be filed, of all fleets; none where nobody knows."""
    services = visit.services
    prefixes = services.settings.prefixes

    def look() -> list[str]:
        first = islice(services.store.list(prefixes.bucket, prefixes.incoming), _MOST_WAITING)
        keys = [stored.key for stored in first if is_file(stored.key)]
        return [key.removeprefix(prefixes.incoming) for key in keys]

    try:
        return visit.read(("waiting",), look)
    except UNAVAILABLE:
        return ()


def _page(
    visit: Visit, *, fleet: str = "", kind: str = "readings", checked: Sequence[Checked] = (),
    faults: Sequence[str] = (), status: HTTPStatus = HTTPStatus.OK,
) -> Response:  # fmt: skip
    services, wanted = visit.services, _Filter.of(visit)
    default = services.fleets.default
    chosen = fleet or (default.name if default else "")
    return visit.page(
        "files.html", status, receipts=_receipts(visit, wanted), wanted=wanted,
        fleets=[*services.fleets.by_name.values()], chosen=chosen, kind=kind, checked=checked,
        faults=faults, suffixes=SUFFIXES, title_of=title_of,
        most_bytes=services.settings.console_upload_bytes,
    )  # fmt: skip


def _show(visit: Visit) -> Response:
    return _page(visit, fleet=visit.query("fleet"))


def _update(visit: Visit) -> Response:
    return visit.answer(_receipts(visit, _Filter.of(visit)))


def _fleet_of(visit: Visit) -> tuple[Fleet, str]:
    """Return the fleet that files are for, and of which kind they are."""
    fleet = visit.services.fleet(visit.form.text("fleet"))
    kind = "events" if visit.form.text("kind") == "events" else "readings"
    if kind == "events" and not fleet.spec.is_series:
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY, Sentence(_NO_EVENTS, {"fleet": fleet.name})
        )
    return fleet, kind


def _sent(visit: Visit) -> tuple[list[Received], list[Checked]]:
    """Return the files that came, and those that nobody has to look into."""
    files = [file for file in visit.form.files if file.filename]
    if not files:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, Sentence(_NO_FILE))
    if len(files) > _MOST_FILES:
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY, Sentence(_TOO_MANY, {"number": Count(_MOST_FILES)})
        )
    received, refused = [], []
    for file in files:
        try:
            received.append(receive(file))
        except UnreadableFileError as err:
            refused.append(Checked((file.filename or "")[:_LONGEST_SHOWN], Preview(err)))
    return received, refused


def _check(visit: Visit) -> Response:
    name = visit.form.text("fleet")
    try:
        fleet, kind = _fleet_of(visit)
        received, refused = _sent(visit)
        intake = intake_of(visit.services, fleet)
        checked = [Checked(one.name, preview(intake, one, kind), one.sha256) for one in received]
    except RefusedError as err:
        return _page(visit, fleet=name, faults=(visit.text(err),), status=err.status)
    return _page(visit, fleet=fleet.name, kind=kind, checked=[*refused, *checked])


def _require_checked(visit: Visit, received: Sequence[Received]) -> None:
    known = frozenset(visit.form.text("checked").split())
    for one in received:
        if one.sha256 not in known:
            raise RefusedError(HTTPStatus.CONFLICT, Sentence(_OTHER_BYTES, {"name": one.name}))


def _send(visit: Visit) -> Response:
    name = visit.form.text("fleet")
    try:
        fleet, kind = _fleet_of(visit)
        received, _ = _sent(visit)
        _require_checked(visit, received)
        _hand_over(visit, fleet, received, kind)
    except (ConflictError, UnreadableFileError) as err:
        return _page(visit, fleet=name, faults=(visit.text(err),), status=HTTPStatus.CONFLICT)
    except RefusedError as err:
        return _page(visit, fleet=name, faults=(visit.text(err),), status=err.status)
    return visit.go(address("files", fleet=fleet.name), "files-sent")


def _hand_over(visit: Visit, fleet: Fleet, received: Sequence[Received], kind: str) -> None:
    intake = intake_of(visit.services, fleet)
    for one in received:
        send(intake, one, kind, who=visit.who)


PAGE = Page(
    routes=(
        get("/files", _show),
        get("/receipts", _update, updates=True),
        post("/files/check", _check, body="files"),
        post("/files/send", _send, body="files"),
    ),
    menu=MenuEntry(50, address("files"), mark("Files")),
    messages=MappingProxyType(
        {"files-sent": mark("Sent. What becomes of it appears below as soon as it is filed.")}
    ),
)
