"""One file that came: what became of it, its bad rows, its release, and the original bytes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import BinaryIO, cast
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from presagio.console.addresses import address, read_number
from presagio.console.catalogue import mark
from presagio.console.problems import RefusedError
from presagio.console.reasons import title_of
from presagio.console.routing import Page, get, post
from presagio.console.uploads import intake_of, turn
from presagio.console.visit import Visit
from presagio.errors import NotFoundError
from presagio.fleet import Fleet
from presagio.ingest.bad_rows import read_bad_rows
from presagio.ingest.previewing import BadRow, preview_file
from presagio.ingest.releasing import release
from presagio.ingest.verdict import BLOCKING
from presagio.sentences import Sentence
from presagio.storage.receipt import Receipt, RecordedRelease

_ROWS_PER_PAGE = 50
_MOST_PASSED_OVER = 100_000
# Of a file that was refused whole the rows are checked anew to be shown.
_CHECKED_ANEW_BYTES = 32 << 20
_NO_RECEIPT = mark("there is no receipt %(number)s")
_NO_WHY = mark("Say why training may go on without this file.")
_PLAIN = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class _Seen:
    """What is shown of a receipt.

    Attributes
    ----------
    blocks
        Whether it keeps training from starting.
    release
        Who has let training go on without it.
    """

    receipt: Receipt
    blocks: bool
    release: RecordedRelease | None


def _number(raw: str) -> int:
    number = read_number(raw)
    if number is None:
        raise NotFoundError(Sentence(_NO_RECEIPT, {"number": raw[:40]}))
    return number


def _fleet_of(visit: Visit, receipt: Receipt) -> Fleet | None:
    """Return the fleet that a receipt is of; None where it is served no more."""
    known = visit.services.fleets.by_name.values()
    return next((fleet for fleet in known if fleet.settings.fleet == receipt.fleet), None)


def _look(visit: Visit, number: int) -> _Seen:
    ledger = visit.services.ledger
    found = ledger.receipts(number=number, every_fleet=True)
    if not found:
        raise NotFoundError(Sentence(_NO_RECEIPT, {"number": str(number)}))
    (receipt,) = found
    of_fleet = ledger.of_fleet(receipt.fleet)
    blocks = bool(of_fleet.blocking(receipt.identity.bucket, BLOCKING, number=number))
    return _Seen(receipt, blocks, of_fleet.released(number))


def _seen(visit: Visit) -> _Seen:
    number = _number(visit.part("number"))
    return visit.read(("receipt", number), lambda: _look(visit, number))


def _bad_rows(visit: Visit, receipt: Receipt, after: int) -> Sequence[BadRow]:
    """Return a page of bad rows, and one more where there are more."""
    if receipt.outcome.verdict == "processed":
        rows = read_bad_rows(visit.services.store, receipt, after=after, limit=_ROWS_PER_PAGE + 1)
        fleet = _fleet_of(visit, receipt)
        if fleet is None:
            return rows
        spec = intake_of(visit.services, fleet).of(receipt.identity.key).spec
        return [row.of_spec(spec) for row in rows]
    if receipt.outcome.verdict != "quarantined" or after:
        return ()
    return _checked_anew(visit, receipt)


def _checked_anew(visit: Visit, receipt: Receipt) -> Sequence[BadRow]:
    fleet = _fleet_of(visit, receipt)
    if fleet is None or receipt.identity.size_bytes > _CHECKED_ANEW_BYTES:
        return ()
    intake = intake_of(visit.services, fleet).of(receipt.identity.key)
    with TemporaryFile() as file, turn():
        bucket, key = receipt.identity.bucket, receipt.outcome.archive_key
        if visit.services.store.download(bucket, key, file) is None:
            return ()
        return preview_file(
            cast("BinaryIO", file), receipt.identity.key, intake.spec, intake.limits,
            most_rows=_ROWS_PER_PAGE,
        ).bad_rows  # fmt: skip


def _page(visit: Visit, seen: _Seen, *, fault: str = "", why: str = "") -> Response:
    after = min(read_number(visit.query("after")) or 0, _MOST_PASSED_OVER)
    receipt = seen.receipt
    rows = visit.read(
        ("bad rows", receipt.id, receipt.outcome.quarantine_key, after),
        lambda: _bad_rows(visit, receipt, after),
    )
    default = visit.services.fleets.default
    return visit.page(
        "receipt.html", HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK, seen=seen,
        receipt=receipt, outcome=receipt.outcome, rows=rows[:_ROWS_PER_PAGE], after=after,
        next_rows=after + _ROWS_PER_PAGE if len(rows) > _ROWS_PER_PAGE else None, fault=fault,
        why=why, title_of=title_of, fleet=receipt.fleet or (default.name if default else ""),
        is_refused=receipt.outcome.verdict == "quarantined",
    )  # fmt: skip


def _show(visit: Visit) -> Response:
    return _page(visit, _seen(visit))


def _release(visit: Visit) -> Response:
    why, number = visit.form.text("why"), _number(visit.part("number"))
    if not why:
        return _page(visit, _look(visit, number), fault=visit.translate(_NO_WHY))
    seen = _look(visit, number)
    fleet = _fleet_of(visit, seen.receipt)
    if fleet is None:
        gone = Sentence("the fleet %(fleet)s is served no more", {"fleet": seen.receipt.fleet})
        raise RefusedError(HTTPStatus.CONFLICT, gone)
    intake = intake_of(visit.services, fleet)
    done = release(intake, number, who=visit.who, why=why)
    if not done.blocked:
        return _page(visit, seen, fault=visit.text(done.note), why=why)
    return visit.go(address("files", str(number)), "file-released")


def attachment(name: str) -> str:
    """Return the header that has a browser keep an answer as a file, whatever its name is."""
    plain = _PLAIN.sub("_", name).lstrip(".") or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _original(visit: Visit) -> Response:
    receipt = _look(visit, _number(visit.part("number"))).receipt
    bucket, key = receipt.identity.bucket, receipt.outcome.archive_key
    found = visit.services.store.stream(bucket, key)
    if found is None:
        raise NotFoundError(Sentence("the original is not kept any more"))
    name = receipt.identity.key.rpartition("/")[2]
    return StreamingResponse(
        found.blocks, media_type="application/octet-stream",
        headers={"Content-Disposition": attachment(name), "Content-Length": str(found.size)},
    )  # fmt: skip


PAGE = Page(
    routes=(
        get("/files/{number}", _show),
        post("/files/{number}/release", _release),
        get("/files/{number}/original", _original),
    ),
    messages=MappingProxyType({
        "file-released": mark("Released: training goes on without this file."),
    }),
)  # fmt: skip
