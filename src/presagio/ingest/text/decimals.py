"""The mark before decimals of one text file: read ahead until it is settled, and looked back at."""

from collections.abc import Callable, Iterator

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.ingest.text.dialect import Dialect
from presagio.ingest.text.fast_path import text_cells
from presagio.ingest.text.lines import Chunks, pieces, split_lines, without_lines
from presagio.ingest.text.records import RecordReader, record_parts
from presagio.machine.spec import MachineSpec
from presagio.readings.marks import MarkEvidence, refuse_mixed
from presagio.readings.numerals import MARKS

# Most files tell in their first rows how they write decimals.
_LOOK_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20


class DecimalMark:
    """Finds out how a file writes decimals.

    Parameters
    ----------
    cut
        Gives the file from its beginning, in chunks of about a size.
    dialect
        How the file is written otherwise.
    spec
        The machine spec.

    Raises
    ------
    UnreadableFileError
        ``ambiguous_numbers``.
    """

    def __init__(self, cut: Callable[[int], Chunks], dialect: Dialect, spec: MachineSpec) -> None:
        self._cut, self._dialect = cut, dialect
        names = dialect.match.names
        self._columns = {i: name for i, name in names.items() if name in spec.feature_names}
        # A comma between cells stands before decimals in no file that people write.
        allowed = (".",) if dialect.delimiter == "," else MARKS
        self._evidence = MarkEvidence(spec, dialect.match, allowed)
        self.mark = self._find()

    def _find(self) -> str:
        for numbers in self._numbers():
            self._evidence.add(numbers)
            if (mark := self._evidence.settled) is not None:
                return mark
        return self._evidence.decide()

    def mixed(self) -> UnreadableFileError | None:
        """Say why a file with both marks before decimals is refused, if it has to be."""
        return refuse_mixed(self._numbers(), self._evidence, self.mark)

    def _numbers(self) -> Iterator[pl.DataFrame]:
        """Yield the numeric cells of the file as text, part by part; parts without a mark are not.

        Of a record that goes on in the next part, the cells are not seen.
        """
        skip, size = self._dialect.header_lines, _LOOK_BYTES
        for body, _ in self._cut(_PIECE_BYTES):
            for piece, _ in pieces(without_lines(body, skip), size):
                if b"." in piece or self._may_have_comma(piece):
                    yield from self._numbers_of(piece)
            skip, size = 0, _PIECE_BYTES

    def _may_have_comma(self, body: bytes) -> bool:
        return b"," in body and (self._dialect.delimiter != "," or b'"' in body)

    def _numbers_of(self, body: bytes) -> Iterator[pl.DataFrame]:
        plain = body.replace(b"\r\n", b"\n") if b"\r" in body else body
        if (numbers := text_cells(plain, self._dialect, self._columns)) is not None:
            yield numbers
            return
        lines, schema = split_lines(body), dict.fromkeys(self._columns.values(), pl.String)
        reader = RecordReader(self._dialect.delimiter, len(self._dialect.header))
        for part in record_parts(reader.read(lines, range(len(lines)), more=False)):
            whole = [record.cells for record in part if not record.reason]
            columns = {name: [row[i] for row in whole] for i, name in self._columns.items()}
            yield pl.DataFrame(columns, schema=schema).with_columns(pl.all().str.strip_chars())
