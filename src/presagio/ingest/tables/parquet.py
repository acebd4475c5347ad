"""Rows of a Parquet file, put through the same checks as text; read by a reader process."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, BinaryIO

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.ingest.compression import Caps
from presagio.ingest.tables.cell_table import CellTable, StoredText
from presagio.ingest.tables.file_reader import FileReader
from presagio.ingest.text.dialect import require_columns
from presagio.machine.columns import match_columns
from presagio.machine.headers import HeaderLimits, bounded
from presagio.machine.spec import MachineSpec
from presagio.readings.process.pool import ReaderPool
from presagio.readings.row_check import RowCheck
from presagio.readings.rows import (
    CheckedRows,
)
from presagio.sentences import Count, Listed, Sentence

_CELL_BYTES = 8
_SHOWN_COLUMNS, _SHOWN_CHARACTERS = 20, 80
_TEXTS = ("string", "categorical", "enum")


class ParquetRows:
    """The rows of a Parquet file; a row's number stands for its line.

    Raises
    ------
    UnreadableFileError
        ``corrupt``, ``too_large``, ``missing_columns``, ``duplicated_columns``, ``column_type``,
        ``reader_ended``.
    OSError
        If the system lacks something: it is not the file's fault.
    """

    def __init__(
        self,
        file: BinaryIO,
        spec: MachineSpec,
        caps: Caps,
        headers: HeaderLimits,
        readers: ReaderPool,
    ) -> None:
        self._reader, self._cell_bytes = FileReader(readers, file), readers.limits.cell_bytes
        about = self._reader.about("parquet_schema", {"headers": asdict(headers)})
        self.header = tuple(about["names"])
        self._rows = int(about["rows"])
        self._text_bytes = caps.most_bytes(file.seek(0, 2))
        unpacked = self._rows * max(1, len(self.header)) * _CELL_BYTES
        if unpacked > caps.max_bytes:
            raise UnreadableFileError(
                "too_large",
                Sentence(
                    "%(rows)s rows of %(columns)s columns are more than %(most)s bytes; split it, "
                    "or raise PRESAGIO_INTAKE_MAX_BYTES",
                    {
                        "rows": Count(self._rows), "columns": Count(len(self.header)),
                        "most": Count(caps.max_bytes),
                    },
                ),
            )  # fmt: skip
        self.warnings = list[Sentence]()
        self.match = match_columns(self.header, spec, headers)
        require_columns(self.header, self.match, spec)
        self._require_types(about, spec)
        self._leave_out(about)
        numeric = [i for i, kind in enumerate(about["types"]) if kind not in _TEXTS]
        names = frozenset(self.match.names[i] for i in numeric if i in self.match.names)
        check = RowCheck(spec, self.match, numeric=names)
        self._table = CellTable(check, self._cell_bytes)
        self._stored_text = StoredText(check)
        self.notes: dict[str, str] = {"encoding": "parquet"}

    def _require_types(self, about: Mapping[str, Any], spec: MachineSpec) -> None:
        """Refuse columns that are needed and hold no values; an identifier may be a time too."""
        kept = {column.name for column in spec.kept_columns}
        wrong = [
            Sentence(
                "%(column)s is of type %(type)s",
                {"column": repr(self.header[i][:_SHOWN_CHARACTERS]), "type": about["types"][i]},
            )
            for i, name in self.match.names.items()
            if not about["plain" if name in kept else "values"][i]
        ]
        if wrong:
            raise UnreadableFileError(
                "column_type",
                Sentence(
                    "%(columns)s; write numbers, booleans or text in these columns",
                    {"columns": Listed(tuple(wrong[:_SHOWN_COLUMNS]))},
                ),
            )

    def _leave_out(self, about: Mapping[str, Any]) -> None:
        """Leave columns out that nobody needs and that are no values; they are not read."""
        plain = {i: name for i, name in self.match.extras.items() if about["plain"][i]}
        if left := [name for i, name in self.match.extras.items() if i not in plain]:
            self.warnings.append(
                Sentence(
                    "columns that the machine spec does not know and that hold no plain values are "
                    "left in the original only: %(columns)s",
                    {"columns": bounded(left)},
                )
            )
        self.match = replace(self.match, extras=plain)

    def __iter__(self) -> Iterator[CheckedRows]:
        """Yield the rows of one slice after the other; each row once."""
        named = {self.header[i]: name for i, name in self._table.columns.items()}
        arguments = {
            "columns": named, "cell_bytes": self._cell_bytes, "text_bytes": self._text_bytes,
        }  # fmt: skip
        found = 0
        for frame in self._reader.frames("parquet_cells", arguments):
            lines = pl.Series(range(found + 1, found + 1 + frame.height), dtype=pl.Int64)
            self._stored_text.add(frame)
            yield self._table.checked(frame, lines)
            found += frame.height
        if found != self._rows:
            raise UnreadableFileError(
                "corrupt",
                Sentence(
                    "the file says that it has %(named)s rows and has %(found)s",
                    {"named": Count(self._rows), "found": Count(found)},
                ),
            )

    @property
    def fault(self) -> UnreadableFileError | None:
        """Why the file is refused although its rows could be read; once they were."""
        return self._stored_text.fault
