"""Rows of a workbook (.xlsx), put through the same checks as text; read by a reader process.

What a workbook stores as a number is one; a number that is stored as text is checked as in a text
file, and its mark before decimals is a point or nothing.
"""

from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from typing import BinaryIO

from presagio.errors import ResourceError, UnreadableFileError
from presagio.ingest.compression import Caps
from presagio.ingest.tables.cell_table import CellTable, StoredText
from presagio.ingest.tables.file_reader import FileReader
from presagio.ingest.text.dialect import require_columns
from presagio.machine.columns import match_columns
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.readings.formats.workbook import ROW
from presagio.readings.process.pool import ReaderPool
from presagio.readings.row_check import RowCheck
from presagio.readings.rows import CheckedRows
from presagio.sentences import Sentence


class WorkbookRows:
    """The rows of one sheet; a row's line is counted from the first row that has a cell.

    Parameters
    ----------
    sheet
        Its name; the first one where it is None.

    Raises
    ------
    UnreadableFileError
        ``corrupt``, ``empty``, ``too_large``, ``missing_sheet``, ``missing_columns``,
        ``duplicated_columns``, ``too_many_columns``, ``name_too_long``,
        ``nul_in_name``, ``reader_ended``.
    OSError, ResourceError
        If the system lacks something: it is not the file's fault.
    """

    def __init__(
        self,
        file: BinaryIO,
        spec: MachineSpec,
        caps: Caps,
        headers: HeaderLimits,
        readers: ReaderPool,
        sheet: str | None = None,
    ) -> None:
        if find_spec("fastexcel") is None:
            raise ResourceError(
                "workbooks need the package fastexcel, which is not installed here; install "
                "presagio[orchestration]"
            )
        self._reader = FileReader(readers, file)
        most = caps.most_bytes(file.seek(0, 2))
        cell_bytes = readers.limits.cell_bytes
        about = self._reader.about(
            "workbook_header", {"headers": asdict(headers), "sheet": sheet, "most_bytes": most}
        )
        header = tuple(about["names"])
        self.match = match_columns(header, spec, headers)
        require_columns(header, self.match, spec)
        numeric = [i for i, only_numbers in enumerate(about["numeric"]) if only_numbers]
        names = frozenset(self.match.names[i] for i in numeric if i in self.match.names)
        check = RowCheck(spec, self.match, numeric=names)
        self._table = CellTable(check, cell_bytes)
        self._stored_text = StoredText(check)
        self._arguments = {
            "sheet": about["sheet"], "most_bytes": most, "text_bytes": most,
            "cell_bytes": cell_bytes,
            "columns": {str(i): name for i, name in self._table.columns.items()},
        }  # fmt: skip
        self.notes: dict[str, str | int] = {"encoding": "xlsx", "sheet": about["sheet"]}
        self.warnings = list[Sentence]()

    def __iter__(self) -> Iterator[CheckedRows]:
        """Yield the rows of one slice after the other; each row once."""
        last, rows = 1, 0
        for frame in self._reader.frames("workbook_cells", self._arguments):
            self._stored_text.add(frame)
            yield self._table.checked(frame.drop(ROW), frame[ROW])
            rows += frame.height
            last = frame[ROW][-1] if frame.height else last
        if blank := last - 1 - rows:
            self.notes["blank_lines"] = blank

    @property
    def fault(self) -> UnreadableFileError | None:
        """Why the file is refused although its rows could be read; once they were."""
        return self._stored_text.fault
