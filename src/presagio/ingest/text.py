"""Rows of a delimited text file, checked chunk by chunk in bounded memory."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import RAW, CheckedRows, check_records
from presagio.ingest.dialect import Dialect, decimal_mark, read_dialect, require_columns
from presagio.ingest.encoding import WINDOWS, Readable, find_form, utf8_blocks
from presagio.ingest.quick import quick_check
from presagio.ingest.records import Record, RecordReader
from presagio.ingest.rules import RowCheck
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec

CHUNK_BYTES = 16 << 20
_LONGEST_LINE = 4 << 20
_HEADER_LINES = 1000
_PART_RECORDS = 10_000


@dataclass
class _Chunks:
    """Cuts blocks of bytes into chunks of whole lines; what is put back comes with the next."""

    blocks: Iterator[bytes]
    size: int
    rest: bytes = b""

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        """Yield chunks, and whether there is more after each."""
        waiting, held = [self.rest], len(self.rest)
        for block in self.blocks:
            waiting.append(block)
            held += len(block)
            if held < self.size:
                continue
            # Looked for in the block alone: a chunk is copied once.
            cut = block.rfind(b"\n") + 1
            if cut:
                waiting[-1], self.rest = block[:cut], block[cut:]
                yield b"".join(waiting), True
                waiting, held = [self.rest], len(self.rest)
            elif held > _LONGEST_LINE and not any(b"\n" in part for part in waiting):
                raise UnreadableFileError(
                    "malformed", f"there is a line of more than {_LONGEST_LINE:,} bytes in it; "
                    "this is no table with a row on each line",
                )  # fmt: skip
        self.rest = b"".join(waiting)
        # Blank lines at the end are none; the last line may have an end or not.
        body, self.rest = self.rest.rstrip(b"\r\n"), b""
        yield body, False


class TextRows:
    """The rows of a delimited text file.

    Parameters
    ----------
    reopen
        Gives the unpacked file from its beginning; it is read twice or thrice.
    spec
        The machine spec.
    headers
        What the header may be; the defaults when not given.
    chunk_bytes
        About how much is held at once.
    quick
        Whether rows that are plainly in order may go the quick way.

    Raises
    ------
    UnreadableFileError
        ``encoding``, ``empty``, ``malformed``, ``missing_columns``, ``duplicated_columns``,
        ``too_many_columns``, ``name_too_long``.
    """

    def __init__(
        self,
        reopen: Callable[[], Readable],
        spec: MachineSpec,
        *,
        headers: HeaderLimits | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        quick: bool = True,
    ) -> None:
        self._form = find_form(reopen)
        self._chunks = _Chunks(utf8_blocks(reopen(), self._form), chunk_bytes)
        self._cut = iter(self._chunks)
        self._first, self._more = next(self._cut)
        # The end of the header's last line may be that of the file.
        first = self._first.decode().split("\n", _HEADER_LINES)[:_HEADER_LINES]
        lines = [f"{line}\n" for line in first]
        self.dialect: Dialect = read_dialect(lines, spec, headers)
        require_columns(self.dialect.header, self.dialect.match, spec)
        self.match = self.dialect.match
        self._spec = spec
        self._mark = "." if self.dialect.delimiter == "," else None
        # Made once: their expressions are the same for each chunk.
        self._checks = {mark: RowCheck(spec, self.match, mark) for mark in (".", ",")}
        self._quick = quick
        self._keep_raw = spec.duplicates == "reject"
        self._records = RecordReader(self.dialect.delimiter, len(self.dialect.header))

    @property
    def notes(self) -> dict[str, str]:
        """How the file is written, for its receipt."""
        return {
            "encoding": self._form.encoding,
            "delimiter": self.dialect.delimiter,
            "decimal_mark": self._mark or ".",
        }

    @property
    def warnings(self) -> list[str]:
        """What somebody should know who sends such files."""
        if self._form.encoding != WINDOWS:
            return []
        return ["the file is not UTF-8 and was read as Windows-1252; better save it as CSV UTF-8"]

    def __iter__(self) -> Iterator[CheckedRows]:
        """Yield the rows of one chunk after the other; each row once."""
        skip = self.dialect.header_lines
        body = [*self._first.split(b"\n", skip), b""][skip]
        line, more = skip + 1, self._more
        while True:
            checked, left, lines = self._check(body, line, more=more)
            yield checked
            if not more:
                return
            line += lines
            self._chunks.rest = left + self._chunks.rest
            body, more = next(self._cut)

    def _check(self, body: bytes, line: int, *, more: bool) -> tuple[CheckedRows, bytes, int]:
        """Check a chunk; also return what of it has to come again, and how many lines are done."""
        check = self._checks[self._decimal_mark(body)]
        plain = body.replace(b"\r\n", b"\n") if b"\r" in body else body
        quick = (
            quick_check(plain, line, self.dialect, check, keep_raw=self._keep_raw)
            if self._quick and plain
            else None
        )
        if quick is None:
            return self._check_all(body, line, check, more=more)
        numbers = [line + i for i in quick.doubtful]
        doubtful = list(self._records.read(quick.doubtful_lines, numbers, more=False))
        thorough = self._kept(check_records(doubtful, check))
        accepted = quick.accepted
        if len(thorough.accepted):
            accepted = pl.concat([accepted, thorough.accepted]).sort("@line")
        return replace(thorough, accepted=accepted), b"", quick.lines

    def _kept(self, checked: CheckedRows) -> CheckedRows:
        if self._keep_raw:
            return checked
        return replace(checked, accepted=checked.accepted.drop(RAW))

    def _check_all(
        self, body: bytes, line: int, check: RowCheck, *, more: bool
    ) -> tuple[CheckedRows, bytes, int]:
        """Check every line of a chunk the thorough way, a part at a time: records take memory."""
        lines = body.decode().split("\n")
        if not body or body.endswith(b"\n"):
            lines.pop()
        records = self._records.read(lines, range(line, line + len(lines)), more=more)
        parts = [self._kept(check_records(part, check)) for part in _parts(records)]
        checked = CheckedRows(
            pl.concat([part.accepted for part in parts]),
            pl.concat([part.rejected for part in parts]),
            dict(sum((Counter(part.suspects) for part in parts), Counter[str]())),
        )
        if self._records.unfinished is None:
            return checked, b"", len(lines)
        rest = "\n".join(lines[self._records.unfinished :]) + "\n"
        return checked, rest.encode(), self._records.unfinished

    def _decimal_mark(self, body: bytes) -> str:
        """Return the mark before decimals; settled by the first numbers that have any."""
        if self._mark is None and (b"," in body or b"." in body):
            lines = body.decode().split("\n")
            for part in _parts(self._records.read(lines, range(len(lines)), more=False)):
                cells = [record.cells for record in part if not record.reason]
                columns = {
                    name: [row[i] for row in cells]
                    for i, name in self.match.names.items()
                    if name in self._spec.feature_names
                }
                text = dict.fromkeys(columns, pl.String)
                self._mark = decimal_mark(pl.DataFrame(columns, schema=text))
                if self._mark is not None:
                    break
        return self._mark or "."


def _parts(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Divide records into lists of a bounded length; at least one, which may be empty."""
    part = list(islice(records, _PART_RECORDS))
    yield part
    while part := list(islice(records, _PART_RECORDS)):
        yield part
