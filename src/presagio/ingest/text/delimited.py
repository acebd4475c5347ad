"""Rows of a delimited text file, checked chunk by chunk in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.ingest.text.decimals import DecimalMark
from presagio.ingest.text.dialect import Dialect, read_dialect, require_columns
from presagio.ingest.text.encoding import WINDOWS, Readable, find_form, utf8_blocks
from presagio.ingest.text.fast_path import FastRows, fast_check
from presagio.ingest.text.lines import Chunks, pieces, split_lines, without_lines
from presagio.ingest.text.records import PART_RECORDS, RecordReader, check_records, record_parts
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.readings.row_check import RowCheck
from presagio.readings.rows import LINE, NO_REJECTED, RAW, CheckedRows
from presagio.sentences import Count, Sentence

CHUNK_BYTES = 16 << 20
# What goes through the slow path is held as Python objects, some thirty times as large.
_PIECE_BYTES = 1 << 20
_LEAST_BYTES = 64 << 10
_HEADER_LINES = 1000
# What JSON puts around a name and a value.
_JSON_BYTES = 6
_LINE_ENDS = {"\r": "CR", "\x85": "NEL", "\u2028": "LS", "\u2029": "PS"}


@dataclass
class _Chunk:
    """Lines to check.

    Attributes
    ----------
    body, line, more
        The lines, the number of the first, and whether the file goes on after them.
    rest
        Afterwards: what of them has to come again with the next; ``line`` is its number then.
    """

    body: bytes
    line: int
    more: bool
    rest: bytes = b""


class TextRows:
    """The rows of a delimited text file.

    Parameters
    ----------
    reopen
        Gives the unpacked file from its beginning; it is read several times, one after the other.
    spec
        The machine spec.
    headers
        What the header may be; the defaults when not given.
    chunk_bytes
        About how much is held at once.
    fast
        Whether rows that are plainly good may go through the fast path.

    Raises
    ------
    UnreadableFileError
        ``encoding``, ``empty``, ``malformed``, ``missing_columns``, ``duplicated_columns``,
        ``too_many_columns``, ``name_too_long``, ``ambiguous_numbers``.
    """

    def __init__(
        self,
        reopen: Callable[[], Readable],
        spec: MachineSpec,
        *,
        headers: HeaderLimits | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        fast: bool = True,
    ) -> None:
        self._reopen, self._spec, self._fast = reopen, spec, fast
        self._chunk_bytes = chunk_bytes
        self._form = find_form(reopen)
        first, _ = next(iter(self._cut(_PIECE_BYTES)))
        # The end of the header's last line may be that of the file.
        lines = [f"{line}\n" for line in first.decode().split("\n", _HEADER_LINES)[:_HEADER_LINES]]
        self.dialect: Dialect = read_dialect(lines, spec, headers)
        self.match = self.dialect.match
        require_columns(self.dialect.header, self.match, spec)
        self._decimals = DecimalMark(self._cut, self.dialect, spec)
        # Made once: its expressions are the same for each chunk.
        self._check = RowCheck(spec, self.match, self._decimals.mark)
        # Rows that are taken here may be rejected for what other rows say.
        self._keep_raw = spec.duplicates == "reject" or spec.is_series
        self._records = RecordReader(self.dialect.delimiter, len(self.dialect.header))
        self._other_marks = self._blank_lines = 0

    def _cut(self, size: int) -> Chunks:
        return Chunks(utf8_blocks(self._reopen(), self._form), size)

    @property
    def notes(self) -> dict[str, str | int]:
        """How the file is written, for its receipt; in full once its rows were read."""
        notes: dict[str, str | int] = {
            "encoding": self._form.encoding,
            "delimiter": self.dialect.delimiter,
            "decimal_mark": self._decimals.mark,
        }
        if self._form.line_end != "\n":
            notes["line_end"] = _LINE_ENDS[self._form.line_end]
        if self._blank_lines:
            notes["blank_lines"] = self._blank_lines
        return notes

    @property
    def warnings(self) -> list[Sentence]:
        """What somebody should know who sends such files."""
        warnings = []
        if self._form.encoding == WINDOWS:
            warnings.append(
                Sentence(
                    "the file is not UTF-8 and was read as Windows-1252; better save it as CSV "
                    "UTF-8"
                )
            )
        if self._form.stray_returns:
            warnings.append(
                Sentence(
                    "%(count)s carriage returns stand within lines; lines end with line feeds "
                    "here, so the returns were taken for characters",
                    {"count": Count(self._form.stray_returns)},
                )
            )
        return warnings

    @property
    def fault(self) -> UnreadableFileError | None:
        """Why the file is refused although its rows could be read; once they were."""
        return self._decimals.mixed() if self._other_marks else None

    def __iter__(self) -> Iterator[CheckedRows]:
        """Yield the rows of one chunk after the other; each row once."""
        chunks, rest = self._cut(self._chunk_bytes), b""
        skip, line = self.dialect.header_lines, self.dialect.header_lines + 1
        size = self._piece_bytes()
        for body, more in chunks:
            for piece, last in pieces(without_lines(body, skip), size):
                chunk = _Chunk(rest + piece, line, more or not last)
                yield from self._checked(chunk)
                rest, line = chunk.rest, chunk.line
            skip = 0
        self._blank_lines = self._records.blank_lines + chunks.blank_lines

    def _piece_bytes(self) -> int:
        """Return how much may be checked at once.

        Each row carries the names of the columns that are kept aside, which may be far longer than
        the row itself.
        """
        names = sum(len(name) + _JSON_BYTES for name in self.match.extras.values())
        return max(_LEAST_BYTES, self._chunk_bytes * len(self.dialect.header) // max(names, 1))

    def _checked(self, chunk: _Chunk, *, whole: bool = True) -> Iterator[CheckedRows]:
        """Check a chunk: as a whole through the fast path, else in pieces, each so if it can be."""
        if (fast := self._fast_rows(chunk)) is not None:
            yield from self._with_doubtful(fast, chunk.line)
            chunk.line += fast.lines
        elif whole and len(chunk.body) > _PIECE_BYTES:
            for piece, last in pieces(chunk.body, _PIECE_BYTES):
                part = _Chunk(chunk.rest + piece, chunk.line, chunk.more or not last)
                yield from self._checked(part, whole=False)
                chunk.rest, chunk.line = part.rest, part.line
        else:
            yield from self._slow(chunk)

    def _fast_rows(self, chunk: _Chunk) -> FastRows | None:
        body = chunk.body.replace(b"\r\n", b"\n") if b"\r" in chunk.body else chunk.body
        if not self._fast or not body:
            return None
        return fast_check(body, chunk.line, self.dialect, self._check, keep_raw=self._keep_raw)

    def _with_doubtful(self, fast: FastRows, line: int) -> Iterator[CheckedRows]:
        """Check what the fast path left, a part at a time: records take memory."""
        taken = [fast.accepted]
        for positions, lines in fast.parts(PART_RECORDS):
            numbers = [line + i for i in positions]
            records = list(self._records.read(lines, numbers, more=False))
            checked = self._kept(check_records(records, self._check))
            if len(checked.accepted):
                taken.append(checked.accepted)
            yield replace(checked, accepted=checked.accepted.clear())
        accepted = pl.concat(taken).sort(LINE) if len(taken) > 1 else fast.accepted
        yield CheckedRows(accepted, NO_REJECTED, {})

    def _kept(self, checked: CheckedRows) -> CheckedRows:
        self._other_marks += checked.other_marks
        if self._keep_raw:
            return checked
        return replace(checked, accepted=checked.accepted.drop(RAW))

    def _slow(self, chunk: _Chunk) -> Iterator[CheckedRows]:
        """Check every line of a chunk through the slow path; what may go on after it is left."""
        lines = split_lines(chunk.body)
        numbers = range(chunk.line, chunk.line + len(lines))
        for part in record_parts(self._records.read(lines, numbers, more=chunk.more)):
            yield self._kept(check_records(part, self._check))
        done = self._records.unfinished
        if done is None:
            chunk.line += len(lines)
        else:
            chunk.line += done
            chunk.rest = "\n".join([*lines[done:], ""]).encode()
