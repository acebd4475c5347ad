"""From the bytes of a file to accepted rows, rejected rows and a verdict, chunk by chunk."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.ingest.compression import COMPRESSED_SUFFIXES, Caps, open_unpacked
from presagio.ingest.duplicates import DuplicateRows
from presagio.ingest.readings_once import ReadingsOnce, SeriesTally
from presagio.ingest.tables.parquet import ParquetRows
from presagio.ingest.tables.workbook import WorkbookRows
from presagio.ingest.text.delimited import TextRows
from presagio.ingest.verdict import Tally, file_fault
from presagio.machine.event_log import EventLog
from presagio.machine.headers import HeaderLimits, bounded
from presagio.machine.spec import MachineSpec
from presagio.readings.fault_words import WHOLE_ROW
from presagio.readings.process.pool import open_pool
from presagio.readings.process.reader_limits import ReaderLimits
from presagio.readings.rows import LINE, RAW, CheckedRows, rejected_rows
from presagio.readings.rules import Fault, Reason
from presagio.readings.series_check import one_name
from presagio.sentences import Count, Sentence

_TEXT, _PARQUET, _WORKBOOK = ".csv", ".parquet", ".xlsx"
SUFFIXES = (_TEXT, *(_TEXT + packing for packing in COMPRESSED_SUFFIXES), _PARQUET, _WORKBOOK)


@dataclass(frozen=True)
class Limits:
    """What a file may be.

    Attributes
    ----------
    max_bad_share
        A file with a larger share of bad rows is refused whole.
    caps
        What a compressed file may unpack to.
    headers
        How many columns a file may have, and how long their names may be.
    reader
        What reading a file may take where a reader process reads it.
    readers
        How many files are read so at a time.
    sheet
        The sheet of a workbook that is read; the first one where it is None.
    max_file_bytes
        A larger file is not read at all.
    """

    max_bad_share: float = 0.2
    caps: Caps = field(default_factory=Caps)
    headers: HeaderLimits = field(default_factory=HeaderLimits)
    reader: ReaderLimits = field(default_factory=ReaderLimits)
    readers: int = 2
    sheet: str | None = None
    max_file_bytes: int = 16 << 30

    def size_fault(self, name: str, size: int) -> Sentence | None:
        """Say why a file of a size in bytes is not filed; None for one that is."""
        if size <= self.max_file_bytes:
            return None
        return Sentence(
            "%(name)s has %(bytes)s bytes, and a file may have %(most)s: divide it into smaller "
            "files, each with the header, or raise PRESAGIO_INTAKE_MAX_FILE_BYTES",
            {"name": name, "bytes": Count(size), "most": Count(self.max_file_bytes)},
        )

    def require_size(self, name: str, size: int) -> None:
        """Refuse a file of a size in bytes that is not filed.

        Raises
        ------
        UnreadableFileError
            If it is too large.
        """
        if (fault := self.size_fault(name, size)) is not None:
            raise UnreadableFileError("too_large", fault)


def suffix_of(name: str) -> str | None:
    """Return the suffix by which a file is read, or None for one of an unknown kind."""
    folded = name.lower()
    return next((suffix for suffix in SUFFIXES if folded.endswith(suffix)), None)


def _read_ahead(chunks: Iterable[CheckedRows]) -> Generator[CheckedRows]:
    """Check the next chunk while the caller writes this one: both leave Python's lock to others."""
    iterator = iter(chunks)
    try:
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(next, iterator, None)
            while (chunk := coming.result()) is not None:
                coming = pool.submit(next, iterator, None)
                yield chunk
    finally:
        # A reader that is not done with the file is free for others then.
        if isinstance(iterator, Generator):
            iterator.close()


def _rejecting(checked: CheckedRows, wrong: Iterable[tuple[pl.Series, Reason]]) -> CheckedRows:
    """Reject accepted rows, by a mask of them and a reason of whole rows."""
    accepted, rejected = checked.accepted, [checked.rejected]
    kept = pl.Series([True]).new_from_index(0, len(accepted))
    for mask, reason in wrong:
        rows = accepted.filter(mask)
        kept &= ~mask
        fault = Fault("", reason, str(WHOLE_ROW[reason]))
        faults = [(i, fault) for i in range(len(rows))]
        rejected.append(rejected_rows(rows[LINE].to_list(), rows[RAW].to_list(), faults))
    if kept.all():
        return checked
    return replace(
        checked, accepted=accepted.filter(kept), rejected=pl.concat(rejected).sort("line")
    )


def _twice(spec: MachineSpec) -> tuple[Reason, Reason]:
    """Return why a row is refused that an earlier one repeats, and one that it contradicts."""
    if isinstance(spec, EventLog):
        return Reason.REPEATED_EVENT, Reason.CONTRADICTING_EVENT
    return Reason.REPEATED_READING, Reason.CONTRADICTING_READING


class FileRows:
    """The rows of a file: iterate over it once, then ask for the verdict.

    Parameters
    ----------
    file
        The file, from its beginning.
    suffix
        One of ``SUFFIXES``.
    spec
        The machine spec.
    limits
        What the file may be.

    Raises
    ------
    UnreadableFileError
        If the file as a whole cannot be taken; here, or while its rows are read.
    """

    def __init__(
        self, file: BinaryIO, suffix: str, spec: MachineSpec, limits: Limits | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._spec = spec
        self._rows = self._open(file, suffix)
        self._duplicates = DuplicateRows() if spec.duplicates == "reject" else None
        self._once = None
        if spec.is_series:
            self._once = ReadingsOnce(spec)
        self.tally, self.series = Tally(), SeriesTally(spec)

    def _open(self, file: BinaryIO, suffix: str) -> TextRows | ParquetRows | WorkbookRows:
        limits, spec = self._limits, self._spec
        if suffix not in SUFFIXES:
            raise UnreadableFileError(
                "unknown_format",
                Sentence(
                    "files are told by the end of their name, and %(kinds)s are taken; save it as "
                    "one of these, and send it again",
                    {"kinds": ", ".join(SUFFIXES)},
                ),
            )
        if suffix in (_PARQUET, _WORKBOOK):
            readers = open_pool(limits.reader, limits.readers)
            if suffix == _PARQUET:
                return ParquetRows(file, spec, limits.caps, limits.headers, readers)
            return WorkbookRows(file, spec, limits.caps, limits.headers, readers, limits.sheet)
        packing = PurePosixPath(suffix).suffix
        return TextRows(
            lambda: open_unpacked(file, packing, limits.caps), spec, headers=limits.headers
        )

    def __iter__(self) -> Generator[CheckedRows]:
        """Yield the rows of one chunk after the other; each row once, accepted or rejected."""
        with closing(_read_ahead(self._rows)) as chunks:
            for chunk in chunks:
                checked = self._with_one_name(chunk)
                once = self._without_duplicates(checked)
                self.tally.add(once, self._spec.optional_readings)
                yield replace(once, accepted=once.accepted.drop(LINE, RAW, strict=False))

    def _with_one_name(self, checked: CheckedRows) -> CheckedRows:
        """Give each unit one name, where the machine spec wants that."""
        unit = self._spec.unit
        if unit is None or (name := one_name(unit)) is None or unit.name not in checked.accepted:
            return checked
        named = checked.accepted.with_columns(name)
        self.series.renamed += int((named[unit.name] != checked.accepted[unit.name]).sum())
        return replace(checked, accepted=named)

    def _without_duplicates(self, checked: CheckedRows) -> CheckedRows:
        if checked.accepted.is_empty():
            return checked
        if self._duplicates is not None:
            again = self._duplicates.among(checked.accepted)
            checked = _rejecting(checked, [(again, Reason.DUPLICATE_ROW)])
        if self._once is not None and len(checked.accepted):
            again, other = self._once.among(checked.accepted)
            same, differs = _twice(self._spec)
            checked = _rejecting(checked, [(again, same), (other, differs)])
        self.series.add(checked.accepted)
        return checked

    @property
    def notes(self) -> dict[str, Any]:
        """How the file was written and what was converted, for its receipt."""
        notes: dict[str, Any] = dict(self._rows.notes)
        if self._rows.match.units:
            notes["converted_from"] = {
                name: unit.symbol for name, unit in self._rows.match.units.items()
            }
        if series := self.series.notes:
            notes["events" if isinstance(self._spec, EventLog) else "series"] = series
        if self.tally.missing:
            notes["missing"] = dict(self.tally.missing)
            policies = self._spec.missing_policies
            notes["stands_in"] = {name: policies[name] for name in self.tally.missing}
        return notes

    @property
    def warnings(self) -> list[Sentence]:
        """What was taken, but should be known to whoever sends such files."""
        warnings, extras = list(self._rows.warnings), self._rows.match.extras
        if extras:
            warnings.append(
                Sentence(
                    "columns that the machine spec does not know are kept aside: %(columns)s",
                    {"columns": bounded(extras.values())},
                )
            )
        if absent := self._rows.match.absent:
            warnings.append(
                Sentence(
                    "features without a column are missing in every row: %(features)s",
                    {"features": bounded(absent)},
                )
            )
        if similar := self.series.similar_names:
            warnings.append(
                Sentence(
                    "units whose names differ by case or blanks only are taken for different ones: "
                    '%(units)s; if they are one, write names = "folded" into [unit]',
                    {"units": bounded(similar)},
                )
            )
        if (members := self._spec.members) is not None and (others := self.tally.others):
            warnings.append(
                Sentence(
                    "%(count)s rows are for another fleet, by %(column)s, and are set aside",
                    {"count": Count(others), "column": members.name},
                )
            )
        return warnings

    @property
    def fault(self) -> UnreadableFileError | None:
        """Why the file as a whole is refused, once all rows are known; None if it is not."""
        # Looks at the file again where it has to.
        if (ambiguous := self._rows.fault) is not None:
            return ambiguous
        share = self._limits.max_bad_share
        return file_fault(self.tally, self._spec, self._rows.match, share)


@dataclass(frozen=True)
class CheckedFile:
    """A file that was checked in one go.

    Attributes
    ----------
    accepted
        Clean rows: identifiers as text, features as floats, indicators and labels as booleans,
        as far as the file has them.
    rejected
        The other rows: ``line``, ``faults`` (column, reason, message), ``raw``.
    fault
        Why the file as a whole is refused; None if it is not.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    fault: UnreadableFileError | None
    tally: Tally
    notes: dict[str, Any]
    warnings: list[str]


def check_file(
    body: bytes | BinaryIO,
    spec: MachineSpec,
    *,
    suffix: str = _TEXT,
    limits: Limits | None = None,
) -> CheckedFile:
    """Check a file that fits into memory.

    Parameters
    ----------
    body
        The file.
    spec
        The machine spec.
    suffix
        One of ``SUFFIXES``.
    limits
        What the file may be.

    Returns
    -------
    CheckedFile
        All its rows, each once, and the verdict.

    Raises
    ------
    UnreadableFileError
        If the file cannot be read as rows: ``empty``, ``encoding``, ``malformed``, ``corrupt``,
        ``too_large``, ``missing_columns``, ``duplicated_columns``, ``too_many_columns``,
        ``name_too_long``, ``nul_in_name``.
    """
    rows = FileRows(BytesIO(body) if isinstance(body, bytes) else body, suffix, spec, limits)
    chunks = list(rows)
    accepted = pl.concat([chunk.accepted for chunk in chunks])
    rejected = pl.concat([chunk.rejected for chunk in chunks])
    warnings = [*map(str, rows.warnings)]
    return CheckedFile(accepted, rejected, rows.fault, rows.tally, rows.notes, warnings)
