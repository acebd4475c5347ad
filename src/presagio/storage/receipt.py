"""What the ledger knows of an object: its claim, its receipt, what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from presagio.sentences import Sentence, read_sentence, sentence_json

Verdict = Literal["processed", "quarantined", "duplicate"]
# Notes that have warnings and message as sentences, beside their English.
_WARNINGS, _MESSAGE = "warning_sentences", "message_sentence"


@dataclass(frozen=True)
class ObjectIdentity:
    """What makes an object in a bucket the one it is.

    ``version`` is the version's id in a bucket that keeps versions, else the ETag; another version
    or other bytes are another object.
    """

    bucket: str
    key: str
    version: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Claim:
    """An object that somebody has begun to file.

    Attributes
    ----------
    id
        The id of its receipt to be.
    name
        What its outputs are called below their prefixes; no other object's are.
    attempts
        How often filing it was begun.
    created_at
        When it was begun first.
    """

    id: int
    identity: ObjectIdentity
    name: str
    attempts: int
    created_at: datetime


@dataclass(frozen=True)
class FilingOutcome:
    """What became of an object.

    Attributes
    ----------
    reasons
        How often each fault was found.
    curated_keys
        Where its clean rows lie in the curated data set.
    digests
        The SHA-256 of each object that was written, by key.
    notes
        How the file was written, and what was converted.
    warnings
        What was taken, but should be known to whoever sends such files.
    message
        Why the file as a whole was refused, and what to do.
    duplicate_of
        The receipt of the same bytes, whose rows were taken under another name.
    """

    verdict: Verdict
    rows_in: int = 0
    rows_processed: int = 0
    rows_quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    processed_key: str | None = None
    quarantine_key: str | None = None
    archive_key: str = ""
    curated_keys: Sequence[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    message: str | None = None
    duplicate_of: int | None = None

    @property
    def message_sentence(self) -> Sentence | None:
        """The message, to be translated; None of a receipt that is older than such."""
        return read_sentence(self.notes.get(_MESSAGE))

    @property
    def warning_sentences(self) -> tuple[Sentence | None, ...]:
        """The warnings, to be translated; None for one that is older than such."""
        kept = self.notes.get(_WARNINGS)
        found = [*map(read_sentence, kept)] if isinstance(kept, Sequence) else []
        return tuple(
            next((one for one in found if one is not None and str(one) == text), None)
            for text in self.warnings
        )


def with_sentences(
    notes: Mapping[str, Any], warnings: Sequence[Sentence], message: Sentence | None = None
) -> dict[str, Any]:
    """Return notes that have the sentences of warnings and message too.

    Parameters
    ----------
    notes
        Of an outcome; what they have of warnings stays.
    warnings
        Further warnings.
    message
        Why the file as a whole was refused.
    """
    found = dict(notes)
    if warnings:
        found[_WARNINGS] = [*found.get(_WARNINGS, ()), *map(sentence_json, warnings)]
    if message is not None:
        found[_MESSAGE] = sentence_json(message)
    return found


@dataclass(frozen=True)
class Receipt:
    """The ledger's row for one ingested object; ``fleet`` is empty for the default fleet."""

    id: int
    identity: ObjectIdentity
    outcome: FilingOutcome
    run_id: str | None
    created_at: datetime
    fleet: str = ""


@dataclass(frozen=True)
class RecordedRelease:
    """Who has let training go on without a file, when and why."""

    who: str
    why: str
    created_at: datetime


@dataclass(frozen=True)
class Totals:
    """What all receipts come to.

    Attributes
    ----------
    files
        How many there are, by verdict.
    reasons
        How often each fault was found.
    last
        When the newest one was given; None where there is none.
    """

    files: Mapping[str, int]
    rows_processed: int
    rows_quarantined: int
    reasons: Mapping[str, int]
    last: datetime | None
