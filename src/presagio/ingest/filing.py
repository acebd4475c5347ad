"""File one incoming object so that nothing is lost, whenever the process dies.

Read → claim → archive → clean → write the outputs → commit the receipt → remove the source. The
claim settles what the outputs are called, so every write is idempotent (same bytes, same key), and
the source goes last: a run that is killed anywhere leaves an incoming object without a receipt, or
a receipt and a source that only has to be removed.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from presagio.errors import DataError, ResourceError, UnreadableFileError
from presagio.ingest.checking import FileRows, Limits, suffix_of
from presagio.ingest.naming import output_names
from presagio.ingest.outputs import OutputWriter, Written, digest, write_json
from presagio.ingest.spool import spool_folder
from presagio.ingest.stored_outputs import ClaimedSource, StoredOutputs
from presagio.machine.event_log import EVENTS, event_log
from presagio.machine.spec import MachineSpec
from presagio.sentences import Count, Sentence
from presagio.settings import Prefixes
from presagio.storage.ledger import Ledger
from presagio.storage.objects import ObjectStore
from presagio.storage.receipt import FilingOutcome, ObjectIdentity, Receipt, with_sentences
from presagio.storage.transaction import Filing
from presagio.storage.unit_parts import UnitSpans

_log = logging.getLogger(__name__)

Step = Literal[
    "read", "claimed", "archived", "cleaned", "processed_written", "quarantine_written",
    "curated_written", "recorded", "committed", "removed",
]  # fmt: skip
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True)
class Progress:
    """How far a file is: bytes of it that were checked, of how many, and rows so far."""

    key: str
    done_bytes: int
    total_bytes: int
    rows: int


def _ignore(_: object) -> None: ...


@dataclass(frozen=True)
class Intake:
    """Where objects come from and go to, and what they are checked against.

    Attributes
    ----------
    other_fleets
        Returns the names of fleets whose prefixes lie below this one's: what is there is theirs.
    on_step
        Called after each step, with its name.
    on_progress
        Called after each chunk of a file.
    """

    store: ObjectStore
    ledger: Ledger
    spec: MachineSpec
    prefixes: Prefixes
    limits: Limits = field(default_factory=Limits)
    other_fleets: Callable[[], frozenset[str]] = frozenset
    on_step: Callable[[Step], None] = _ignore
    on_progress: Callable[[Progress], None] = _ignore

    @property
    def events_prefix(self) -> str | None:
        """Below which logs of events are; None where readings have no unit and time."""
        return f"{self.prefixes.incoming}{EVENTS}" if self.spec.is_series else None

    def is_of_events(self, key: str) -> bool:
        """Tell whether an object is a log of events, and no file of readings."""
        return self.events_prefix is not None and key.startswith(self.events_prefix)

    def of(self, key: str) -> "Intake":
        """Return the intake of an object: that of events where it is a log of them."""
        return self.of_events if self.is_of_events(key) else self

    @property
    def of_events(self) -> "Intake":
        """The intake of the fleet's events: checked by their spec, curated in their place."""
        curated = f"{self.prefixes.curated}{EVENTS}"
        prefixes = self.prefixes.model_copy(update={"curated": curated})
        return replace(self, spec=event_log(self.spec), prefixes=prefixes)


def _clean(intake: Intake, source: ClaimedSource) -> tuple[FileRows, Written]:
    """Check all rows, and write them into the folder."""
    size, key = source.claim.identity.size_bytes, source.claim.identity.key
    writer = OutputWriter(source.path.parent, source.claim.id, intake.spec)
    with closing(writer) as output, source.path.open("rb") as file:
        rows = FileRows(file, source.suffix, intake.spec, intake.limits)
        with closing(iter(rows)) as chunks:
            for chunk in chunks:
                output.add(chunk)
                intake.on_progress(Progress(key, file.tell(), size, rows.tally.rows))
        return rows, output.finish()


def _notes(intake: Intake, rows: FileRows | None) -> dict[str, Any]:
    """Return what was noted of a file, and by which machine spec it was checked."""
    notes = {**(rows.notes if rows else {}), "spec_sha256": intake.spec.digest}
    return with_sentences(notes, rows.warnings if rows else ())


def _store_rows(
    intake: Intake, outputs: StoredOutputs, rows: FileRows, written: Written, archive_key: str
) -> FilingOutcome:
    tally = rows.tally
    processed = outputs.processed(written.clean)
    intake.on_step("processed_written")
    quarantine = outputs.rejected(written.rejected) if tally.rejected else None
    intake.on_step("quarantine_written")
    curated = outputs.curated(written.curated)
    intake.on_step("curated_written")
    return FilingOutcome(
        "processed",
        tally.rows, tally.rows - tally.rejected, tally.rejected, tally.reasons,
        processed, quarantine, archive_key, curated, outputs.digests, _notes(intake, rows),
        tuple(map(str, rows.warnings)),
    )  # fmt: skip


def _store_refused(
    intake: Intake,
    outputs: StoredOutputs,
    source: ClaimedSource,
    rows: FileRows | None,
    fault: UnreadableFileError,
    archive_key: str,
) -> FilingOutcome:
    """Store a whole file in quarantine, with the reason beside it."""
    identity = source.claim.identity
    counted = rows.tally.rows if rows else 0
    reason = {
        "key": identity.key,
        "sha256": identity.sha256,
        "reason": fault.reason,
        "message": str(fault),
        "rows": counted,
        "rejected_rows": rows.tally.rejected if rows else None,
        "faults": dict(rows.tally.reasons) if rows else {},
        "first_rejected": rows.tally.examples if rows else [],
        "original": archive_key,
    }
    quarantine = outputs.refused(write_json(source.path.with_name("reason.json"), reason))
    intake.on_step("quarantine_written")
    notes = {**_notes(intake, rows), "refused": fault.reason}
    notes = with_sentences(notes, (), fault.sentence)
    reasons = rows.tally.reasons if rows else {fault.reason: 1}
    return FilingOutcome(
        "quarantined", counted, 0, counted, reasons, None, quarantine, archive_key, (),
        outputs.digests, notes, tuple(map(str, rows.warnings)) if rows else (), str(fault),
    )  # fmt: skip


def _require_same(
    expected: FilingOutcome, rows: FileRows | None, fault: UnreadableFileError | None
) -> None:
    refused = None if fault is None else fault.reason
    found = (rows.tally.rows, rows.tally.rejected) if rows else (0, 0)
    wanted = (expected.rows_in, expected.rows_quarantined)
    if refused == expected.notes.get("refused") and (refused or found == wanted):
        return
    raise DataError(
        f"the original gives {found[0]} rows with {found[1]} bad ones, its receipt says "
        f"{wanted[0]} with {wanted[1]}; the machine spec or the limits were another then"
    )


def outcome_of(
    intake: Intake, source: ClaimedSource, *, expected: FilingOutcome | None = None
) -> tuple[FilingOutcome, UnitSpans]:
    """Archive, check and store the bytes of a claimed object; nothing of it is recorded yet.

    Returns
    -------
    tuple
        What became of it, and which units its curated parts hold.

    Raises
    ------
    DataError
        If they do not give what was ``expected``; only the original is stored then.
    StorageError
        If the store fails.
    """
    intake = intake.of(source.claim.identity.key)
    outputs = StoredOutputs(intake.store, intake.prefixes, source)
    archive_key = outputs.archive()
    intake.on_step("archived")
    rows = None
    try:
        rows, written = _clean(intake, source)
        fault = rows.fault
    except UnreadableFileError as err:
        rows, fault = None, err
    if expected is not None:
        _require_same(expected, rows, fault)
    intake.on_step("cleaned")
    if fault is not None or rows is None:
        refusal = fault or UnreadableFileError("malformed", Sentence("the file cannot be read"))
        return _store_refused(intake, outputs, source, rows, refusal, archive_key), UnitSpans()
    return _store_rows(intake, outputs, rows, written, archive_key), written.spans


def with_overlaps(filing: Filing, outcome: FilingOutcome, spans: UnitSpans) -> FilingOutcome:
    """Note of how many units other files have readings among the times of this one's."""
    if not (units := filing.overlapping_units(spans)):
        return outcome
    notes = dict(outcome.notes)
    notes["series"] = {**notes.get("series", {}), "overlapping_units": units}
    warning = Sentence(
        "of %(count)s units other files have readings from the same span of time; of two with the "
        "same time the one that was filed first counts",
        {"count": Count(units)},
    )
    return replace(
        outcome, notes=with_sentences(notes, [warning]), warnings=(*outcome.warnings, str(warning))
    )


def _file(intake: Intake, filing: Filing, source: ClaimedSource, run_id: str | None) -> Receipt:
    receipt = filing.earlier()
    if receipt is not None:
        return receipt
    # What was refused for the end of its name is read under a better one.
    same = filing.same_bytes(but_refused_for="unknown_format" if source.suffix else None)
    if same is None:
        outcome, spans = outcome_of(intake, source)
        outcome = with_overlaps(filing, outcome, spans)
    else:
        archived, spans = same.outcome.archive_key, UnitSpans()
        if filing.has_lost_original(archived):
            prefixes = intake.of(source.claim.identity.key).prefixes
            archived = StoredOutputs(intake.store, prefixes, source).archive()
        outcome = FilingOutcome("duplicate", archive_key=archived, duplicate_of=same.id)
    receipt = filing.commit_receipt(outcome, run_id, spans)
    intake.on_step("recorded")
    return receipt


def file_bytes(
    intake: Intake, path: Path, identity: ObjectIdentity, *, run_id: str | None = None
) -> Receipt:
    """Claim, archive, clean and record the bytes of an object that lie in a file.

    The file's folder is used for the outputs until they are stored.

    Raises
    ------
    StorageError
        If the store or the ledger fails.
    """
    name = identity.key.removeprefix(intake.prefixes.incoming)
    claim = intake.ledger.claim(identity, output_names(name, identity.sha256))
    intake.on_step("claimed")
    source = ClaimedSource(path, suffix_of(identity.key) or "", claim)
    with intake.ledger.filing(claim) as filing:
        receipt = _file(intake, filing, source, run_id)
    intake.on_step("committed")
    return receipt


@contextmanager
def _resources(key: str) -> Iterator[None]:
    """Tell what the operating system refuses from what is wrong with a file."""
    try:
        yield
    except OSError as err:
        raise ResourceError(
            f"{key} cannot be filed now: {err.strerror or err}; it stays where it is and is tried "
            "again; look at open files, memory and the disk of TMPDIR"
        ) from err


def file_object(intake: Intake, key: str, *, run_id: str | None = None) -> Receipt | None:
    """Check, clean and file one incoming object.

    Parameters
    ----------
    intake
        Where from, where to, and the machine spec.
    key
        The object's key, below the incoming prefix.
    run_id
        Who files it (an Airflow run), for the receipt.

    Returns
    -------
    Receipt or None
        The receipt, an earlier one where this very object was filed before; None when there is
        no such object (any more).

    Raises
    ------
    StorageError
        If the store or the ledger fails; the object then stays where it is, to be tried again.
    ResourceError
        If the operating system refuses what is needed; the object stays too.
    UnreadableFileError
        If the object is larger than a file may be; it stays, and nothing of it is read.
    """
    bucket, check_size = intake.prefixes.bucket, partial(intake.limits.require_size, key)
    with _resources(key), spool_folder() as folder:
        path = folder / f"source{suffix_of(key) or ''}"
        with path.open("w+b") as file:
            stored = intake.store.download(bucket, key, file, check_size=check_size)
        if stored is None:
            return None
        version = stored.version_id or stored.etag
        identity = ObjectIdentity(bucket, key, version, digest(path), stored.size)
        intake.on_step("read")
        receipt = file_bytes(intake, path, identity, run_id=run_id)
    if not intake.store.delete_unchanged(bucket, stored):
        _log.warning("%s was replaced while it was read; the newer bytes are left to file", key)
    intake.on_step("removed")
    return receipt
