"""Files that a browser sends: safe names, digests, checked in turn, handed to the intake."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from shutil import copyfileobj
from threading import BoundedSemaphore
from typing import BinaryIO

from starlette.datastructures import UploadFile

from presagio.console.problems import RefusedError
from presagio.console.services import Services
from presagio.errors import ConflictError, UnreadableFileError
from presagio.fleet import Fleet
from presagio.ingest.checking import SUFFIXES, suffix_of
from presagio.ingest.filing import Intake
from presagio.ingest.incoming import is_file
from presagio.ingest.opening import intake_limits
from presagio.ingest.previewing import Preview, preview_file
from presagio.ingest.spool import spool_folder
from presagio.ingest.upload import Uploaded, upload
from presagio.machine.event_log import EVENTS
from presagio.sentences import Sentence
from presagio.storage.fleets import other_names

# File systems, on which some stores keep their objects, take 255 bytes between two slashes.
_LONGEST_NAME = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_BLOCK = 1 << 20
# Checking takes a processor and some 200 MB: others wait for their turn so long.
_AT_ONCE, _WAIT_S = 2, 20.0
_turns = BoundedSemaphore(_AT_ONCE)
# Sending takes a connection of the ledger's database as long as the store takes.
_sends = BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True)
class Received:
    """A file that came with a form.

    Attributes
    ----------
    name
        Its own name, without folders, safe to be a part of a key and to be shown.
    sha256
        Of its bytes.
    """

    name: str
    sha256: str
    file: BinaryIO


@contextmanager
def turn(turns: BoundedSemaphore = _turns) -> Iterator[None]:
    """Wait until others have done with their files.

    Parameters
    ----------
    turns
        For what: to be checked, where nothing else is named.

    Raises
    ------
    RefusedError
        429, if others take too long.
    """
    if not turns.acquire(timeout=_WAIT_S):
        raise RefusedError(
            HTTPStatus.TOO_MANY_REQUESTS,
            Sentence("other files are being checked or sent; try again in a minute"),
        )
    try:
        yield
    finally:
        turns.release()


def safe_name(given: str | None) -> str:
    """Return a file's name as the intake takes it.

    Raises
    ------
    UnreadableFileError
        If the intake takes no file of this name.
    """
    name = re.split(r"[/\\]", given or "")[-1]
    name = _UNPRINTABLE.sub("_", name.encode(errors="replace").decode()).strip()
    suffix = suffix_of(name)
    if suffix is None:
        raise UnreadableFileError(
            "unknown_format",
            Sentence(
                "%(name)s: these are taken: %(kinds)s",
                {"name": name or Sentence("a file without a name"), "kinds": ", ".join(SUFFIXES)},
            ),
        )
    most = _LONGEST_NAME - len(suffix)
    stem = name[: -len(suffix)].encode()[:most].decode(errors="ignore").strip()
    whole = f"{stem}{name[-len(suffix) :]}"
    if not stem or not is_file(whole):
        raise UnreadableFileError(
            "unknown_format",
            Sentence(
                "%(name)s: a file of this name is never filed; give it another one", {"name": whole}
            ),
        )
    return whole


def receive(sent: UploadFile) -> Received:
    """Return what came, with its digest; it stays on the disk where it is.

    Raises
    ------
    UnreadableFileError
        If the intake takes no file of its name.
    """
    name, digest = safe_name(sent.filename), hashlib.sha256()
    file = sent.file
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
    file.seek(0)
    return Received(name, digest.hexdigest(), file)


def intake_of(services: Services, fleet: Fleet) -> Intake:
    """Return a fleet's intake, on the connections that the console has."""
    settings = fleet.settings
    others = partial(other_names, settings, services.store) if fleet.is_default else frozenset
    return Intake(
        services.store, services.ledger.of_fleet(settings.fleet), fleet.spec, settings.prefixes,
        intake_limits(settings), other_fleets=others,
    )  # fmt: skip


def folder_of(kind: str) -> str:
    """Return where files of a kind, ``readings`` or ``events``, lie below the incoming prefix."""
    return EVENTS if kind == "events" else ""


def preview(intake: Intake, received: Received, kind: str = "readings") -> Preview:
    """Check a file as the intake would.

    Raises
    ------
    RefusedError
        If too many others are being checked.
    """
    by = intake.of_events if kind == "events" else intake
    with turn():
        return preview_file(received.file, received.name, by.spec, by.limits)


def send(
    intake: Intake, received: Received, kind: str = "readings", *, who: str, scope: str = "operate"
) -> Uploaded:
    """Put a file where the intake finds it; the audit log knows of it before.

    Parameters
    ----------
    intake
        Of the fleet.
    received
        The file.
    kind
        ``readings`` or ``events``.
    who, scope
        Who sends it, and what allows it.

    Raises
    ------
    ConflictError
        If another file of its name waits there.
    StorageError
        If the store cannot be reached.
    UnreadableFileError
        If it is larger than a file may be.
    """
    name = folder_of(kind) + received.name
    bucket, key = intake.prefixes.bucket, intake.prefixes.incoming + name
    waits = ConflictError(
        Sentence(
            "another file called %(name)s waits to be filed; send this one in a minute, or under "
            "another name",
            {"name": received.name},
        )
    )
    # Between the look and the last byte another file of the name would take the place of this one.
    with turn(_sends), intake.ledger.sending(bucket, key) as alone:
        if not alone or intake.store.head(bucket, key) is not None:
            raise waits
        with spool_folder() as folder:
            path = folder / "source"
            received.file.seek(0)
            with path.open("wb") as copy:
                copyfileobj(received.file, copy, _BLOCK)
            about = {"sha256": received.sha256, "fleet": intake.spec.name}
            with intake.ledger.audit().change(
                who=who, scope=scope, action="file.send", target=key, detail=about
            ):
                return upload(intake, path, name=name)
