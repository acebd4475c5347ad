"""What the intake would say of a file, before it is sent: the same check, bounded in time."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import FileRows, Limits, suffix_of
from presagio.machine.spec import MachineSpec
from presagio.readings.fault_words import fault_sentence
from presagio.sentences import Sentence

_LONGEST_RAW = 2000


@dataclass(frozen=True)
class BadRow:
    """A row that is not taken.

    Attributes
    ----------
    line
        Of the file, from 1.
    columns, reasons, messages
        What is wrong with it: where, which kind, and in words; one entry a fault.
    raw
        The row as it stands in the file, shortened.
    sentences
        The messages, to be translated; None for one of another machine spec.
    """

    line: int
    columns: tuple[str, ...]
    reasons: tuple[str, ...]
    messages: tuple[str, ...]
    raw: str
    sentences: tuple[Sentence | None, ...] = ()

    def of_spec(self, spec: MachineSpec) -> "BadRow":
        """Return the row with the sentences that a machine spec has for its faults."""
        faults = zip(self.columns, self.reasons, self.messages, strict=False)
        return replace(self, sentences=tuple(fault_sentence(spec, *fault) for fault in faults))


@dataclass(frozen=True)
class Preview:
    """The checker's verdict on a file that nobody has sent yet.

    Attributes
    ----------
    fault
        Why the file as a whole would be refused; None if it would not be.
    rows, rejected
        How many rows were checked, and how many of them would not be taken.
    reasons
        How often each kind of fault was found.
    bad_rows
        The first of the rows that would not be taken.
    is_whole
        Whether the whole file was checked; if not, time was up.
    """

    fault: UnreadableFileError | None
    rows: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    bad_rows: Sequence[BadRow] = ()
    warnings: Sequence[Sentence] = ()
    is_whole: bool = True

    @property
    def taken(self) -> int:
        """How many of the checked rows would be taken."""
        return 0 if self.fault else self.rows - self.rejected


def shortened(raw: str) -> str:
    """Return the text of a row, cut where it is too long to be shown."""
    return raw if len(raw) <= _LONGEST_RAW else f"{raw[:_LONGEST_RAW]}…"


def _bad_rows(rows: Iterable[Mapping[str, Any]]) -> list[BadRow]:
    return [
        BadRow(
            row["line"],
            tuple(fault["column"] or "" for fault in row["faults"]),
            tuple(fault["reason"] for fault in row["faults"]),
            tuple(fault["message"] for fault in row["faults"]),
            shortened(row["raw"] or ""),
        )
        for row in rows
    ]


def preview_file(
    file: BinaryIO, name: str, spec: MachineSpec, limits: Limits, *, most_rows: int = 20,
    seconds: float = 20.0,
) -> Preview:  # fmt: skip
    """Check a file as the intake would, and keep no more of it than is shown.

    Parameters
    ----------
    file
        The file, from its beginning.
    name
        What it is called, which says how it is read.
    spec
        What it is checked against.
    limits
        What a file may be.
    most_rows
        How many bad rows to return at most.
    seconds
        After so long the verdict is given on the rows that were checked by then.
    """
    until = time.monotonic() + seconds
    found: list[BadRow] = []
    is_whole = True
    try:
        limits.require_size(name, file.seek(0, 2))
        file.seek(0)
        rows = FileRows(file, suffix_of(name) or "", spec, limits)
        with closing(iter(rows)) as chunks:
            for chunk in chunks:
                first = chunk.rejected.head(most_rows - len(found))
                found += [row.of_spec(spec) for row in _bad_rows(first.iter_rows(named=True))]
                if time.monotonic() > until:
                    is_whole = next(chunks, None) is None
                    break
        fault = rows.fault
    except UnreadableFileError as err:
        return Preview(err)
    tally = rows.tally
    return Preview(
        fault, tally.rows, tally.rejected, dict(tally.reasons), found, rows.warnings, is_whole
    )
