"""A new fleet: a file dropped in, the drafted machine spec with its questions, and the fleet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from starlette.responses import Response

from presagio.console.addresses import address
from presagio.console.catalogue import mark
from presagio.console.problems import RefusedError
from presagio.console.reasons import title_of
from presagio.console.routing import MenuEntry, Page, get, post
from presagio.console.uploads import Received, intake_of, preview, receive, send, turn
from presagio.console.visit import Visit
from presagio.errors import ConflictError, DataError, InvalidSpecError, UnreadableFileError
from presagio.fleet import LARGEST_SPEC, Fleet, make_fleet
from presagio.ingest.previewing import Preview
from presagio.ingest.spool import spool_folder
from presagio.jobs.fleets import add_fleet
from presagio.jobs.spec_draft import draft_spec
from presagio.jobs.spec_questions import Question, questions_of
from presagio.machine.headers import HeaderLimits, check_header
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.sentences import Count, Sentence
from presagio.storage.audit import AuditLog
from presagio.storage.fleets import read_added

# The first 100,000 rows are looked at, and no more bytes than these.
_DRAFTED_BYTES = 16 << 20
_LONGEST_NAME = 60
_NO_FILE = mark("Choose a file first.")
_NO_CSV = mark("A draft is made from a CSV file that is not compressed.")
_TAKEN = mark(
    "A fleet called %(name)s is there already, or was. Change the name in the first lines."
)
# What a draft asks, as :mod:`presagio.jobs.spec_draft` writes it; numbers are put in again.
_QUESTIONS = (
    (r"What do people call it\?", mark("What do people call it?")),
    (
        r"Is this what a failure is\? It is in (?P<share>\S+) of the rows\.",
        mark("Is this what a failure is? It is in %(share)s of the rows."),
    ),
    (
        r"A failure mode\? It is true nearly only where the target is\.",
        mark("Is this a failure mode? It is true nearly only where there is a failure."),
    ),
    (
        r"Is it known before the failure\? If not: \[\[modes\]\]",
        mark("Is it known before the failure? If not, write [[modes]] instead of [[features]]."),
    ),
    (
        r"(?P<low>\S+) to (?P<high>\S+) were seen: what is plausible\?",
        mark("%(low)s to %(high)s were seen: which range is plausible?"),
    ),
    (
        r"Is this the column that names a machine\? Its rows stay together\.",
        mark("Is this the column that names a machine? Its rows stay together."),
    ),
    (r"Is this when a reading was taken\?", mark("Is this when a reading was taken?")),
    (
        r"What does a failure without an alarm cost, beside an alarm without a failure\?",
        mark("What does a failure without an alarm cost, beside an alarm without a failure?"),
    ),
    (
        r"Warning: it nearly tells the target by itself; is it known before the failure\?",
        mark("It nearly tells the failure by itself. Is it known before the failure?"),
    ),
    (
        r"Warning: it grows with the time; a model may learn the date from it\.",
        mark("It grows with the time: a model may learn the date from it. Leave it out?"),
    ),
    (r"Left out: (?P<what>.*)", mark("Left out: %(what)s")),
)


@dataclass(frozen=True)
class _Draft:
    """What stands on the page below the file.

    Attributes
    ----------
    text
        The machine spec as it is now.
    faults
        What is wrong with it, with lines.
    spec
        What it says, where nothing is wrong.
    verdict
        What it says of the file.
    """

    text: str
    questions: Sequence[Question] = ()
    faults: Sequence[str] = ()
    spec: MachineSpec | None = None
    verdict: Preview | None = None


def _in_words(visit: Visit, question: Question) -> str:
    for pattern, text in _QUESTIONS:
        if (found := re.fullmatch(pattern, question.text)) is not None:
            return visit.translate(text, **found.groupdict())
    return question.text


def _page(
    visit: Visit, draft: _Draft | None = None, *, faults: Sequence[str] = (),
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:  # fmt: skip
    form = visit.form
    questions = [
        (question, _in_words(visit, question)) for question in (draft.questions if draft else ())
    ]
    return visit.page(
        "new_fleet.html", status, draft=draft, questions=questions, faults=faults,
        name=form.text("name"), target=form.text("target"), title_of=title_of,
        most_bytes=visit.services.settings.console_upload_bytes,
        rows=min(max(len(draft.text.splitlines()) if draft else 0, 12), 40),
    )  # fmt: skip


def _show(visit: Visit) -> Response:
    return _page(visit)


def _file(visit: Visit) -> Received | None:
    files = [file for file in visit.form.files if file.filename]
    return receive(files[0]) if files else None


def _drafted(visit: Visit, received: Received | None) -> str:
    """Draft a machine spec from the first rows of a file."""
    if received is None:
        raise DataError(Sentence(_NO_FILE))
    if not received.name.lower().endswith(".csv"):
        raise DataError(Sentence(_NO_CSV))
    settings, form = visit.services.settings, visit.form
    head = received.file.read(_DRAFTED_BYTES)
    if len(head) == _DRAFTED_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head
    first = head.partition(b"\n")[0].decode(errors="replace")
    delimiter = max(",;\t|", key=first.count)
    limits = HeaderLimits(settings.max_columns, settings.max_name_length)
    check_header(first.split(delimiter), limits)
    name = form.text("name")[:_LONGEST_NAME] or None
    with turn(), spool_folder() as folder:
        path = folder / received.name
        path.write_bytes(head)
        return draft_spec([path], name=name, target=form.text("target") or None)


def _draft(visit: Visit) -> Response:
    try:
        received = _file(visit)
        text = _drafted(visit, received)
    except (DataError, UnreadableFileError) as err:
        return _page(visit, faults=(visit.text(err),), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except RefusedError as err:
        return _page(visit, faults=(visit.text(err),), status=err.status)
    return _page(visit, _checked(visit, text, received))


def _checked(visit: Visit, text: str, received: Received | None) -> _Draft:
    """Check a machine spec as it stands on the page, and the file by it."""
    text = text.replace("\r\n", "\n")
    questions = tuple(questions_of(text))
    try:
        fleet = _fleet(visit, text)
    except InvalidSpecError as err:
        return _Draft(text, questions, _faults(visit, err))
    verdict = None
    if received is not None:
        verdict = preview(intake_of(visit.services, fleet), received)
    return _Draft(text, questions, (), fleet.spec, verdict)


def _faults(visit: Visit, err: InvalidSpecError) -> list[str]:
    return [*map(visit.text, err.faults)]


def _fleet(visit: Visit, text: str) -> Fleet:
    raw = text.encode(errors="replace")
    if len(raw) > LARGEST_SPEC:
        raise InvalidSpecError(
            Sentence(
                "it has %(bytes)s bytes, and %(most)s are the most",
                {"bytes": Count(len(raw)), "most": Count(LARGEST_SPEC)},
            )
        )
    source = Sentence("of the new fleet")
    fleet = make_fleet(parse_spec(raw, source), visit.services.settings, source)
    fleets = visit.services.fleets
    if fleet.name in fleets.by_name or fleet.name in fleets.other_names:
        raise InvalidSpecError(Sentence(_TAKEN, {"name": fleet.name}))
    return fleet


def _check(visit: Visit) -> Response:
    text = visit.form.fields.get("spec", "")
    try:
        return _page(visit, _checked(visit, text, _file(visit)))
    except (RefusedError, UnreadableFileError) as err:
        draft = _Draft(text, tuple(questions_of(text)))
        return _page(
            visit, draft, faults=(visit.text(err),), status=HTTPStatus.UNPROCESSABLE_ENTITY
        )


def _add(visit: Visit) -> Response:
    text = visit.form.fields.get("spec", "").replace("\r\n", "\n")
    try:
        received = _file(visit)
        fleet = _fleet(visit, text)
        with spool_folder() as folder:
            path = folder / f"{fleet.name}.toml"
            path.write_text(text, encoding="utf-8")
            with AuditLog(visit.services.engine).change(
                who=visit.who, scope="admin", action="fleet.add", target=f"fleet {fleet.name}",
                detail={"spec_sha256": fleet.spec.digest},
            ):  # fmt: skip
                add_fleet(visit.services.settings, path)
    except InvalidSpecError as err:
        draft = _Draft(text, tuple(questions_of(text)), _faults(visit, err))
        return _page(visit, draft, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except (DataError, UnreadableFileError) as err:
        draft = _Draft(text, tuple(questions_of(text)))
        return _page(
            visit, draft, faults=(visit.text(err),), status=HTTPStatus.UNPROCESSABLE_ENTITY
        )
    done = "fleet-added"
    if received is not None:
        done = _hand_over(visit, fleet.name, received)
    return visit.go(address("fleets", "new", fleet.name), done)


def _hand_over(visit: Visit, name: str, received: Received) -> str:
    """Send the file to a fleet that was added just now; return the message's key."""
    fleet = read_added(visit.services.settings, visit.services.store, name)
    if fleet is None:
        return "fleet-added"
    try:
        send(intake_of(visit.services, fleet), received, who=visit.who, scope="admin")
    except (ConflictError, UnreadableFileError):
        return "fleet-added"
    return "fleet-added-with-file"


PAGE = Page(
    routes=(
        get("/fleets/new", _show, scope="admin"),
        post("/fleets/new/draft", _draft, scope="admin", body="files"),
        post("/fleets/new/check", _check, scope="admin", body="files"),
        post("/fleets/new/add", _add, scope="admin", body="files"),
    ),
    menu=MenuEntry(90, address("fleets", "new"), mark("New fleet")),
    messages=MappingProxyType({
        "fleet-added": mark("The fleet is added. Send it files to train its first model."),
        "fleet-added-with-file": mark("The fleet is added, and its first file was sent."),
    }),
)  # fmt: skip
