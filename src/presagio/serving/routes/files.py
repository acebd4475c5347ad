"""Predict a file of readings: read, checked, predicted and answered a part at a time."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.readings.process.pool import open_pool
from presagio.readings.process.reader_limits import reader_limits
from presagio.readings.process.reading import ReadPart
from presagio.readings.table import CheckedReadings
from presagio.scoring.answer import AnswerRows
from presagio.serving.bookkeeping import Bookkeeping
from presagio.serving.champion.holder import Served
from presagio.serving.routes.formats import FORMATS
from presagio.settings import Settings

_BY_TYPE = {form.media_type: form for form in FORMATS}
# So long a file waits for a reader; then its sender is told to come again.
_WAIT_S = 30.0


@dataclass(frozen=True)
class FileScorer:
    """Predicts one file: one model for all of it."""

    served: Served
    spec: MachineSpec
    books: Bookkeeping
    settings: Settings

    def answer(self, path: Path, sent: str, wanted: str) -> Iterator[bytes]:
        """Return the answer, whose first part is made already.

        Parameters
        ----------
        path
            The file.
        sent, wanted
            Media types of the file and of the answer.

        Raises
        ------
        DataError, UnreadableFileError
            If it is no such file, or its columns are not those of the machine spec.
        ReaderEndedError
            If reading it takes more memory or time than it may, or ends its reader.
        ReadersBusyError
            If other files are read for too long.
        """
        parts = _BY_TYPE[wanted].write(self._answers(path, _BY_TYPE[sent].task))
        first = next(parts, b"")

        def every() -> Iterator[bytes]:
            yield first
            yield from parts

        return every()

    def _read(self, path: Path, task: str) -> Iterator[ReadPart]:
        limits = reader_limits(self.settings)
        headers = HeaderLimits(self.settings.max_columns, self.settings.max_name_length)
        arguments = {
            "spec": json.dumps(self.spec.model_dump()),
            "headers": asdict(headers),
            "line_bytes": limits.line_bytes,
            "most_rows": self.settings.api_max_rows,
            "most_bytes": self.settings.batch_max_bytes,
        }
        with path.open("rb") as file:
            yield from open_pool(limits, self.settings.readers).read(task, file, arguments, _WAIT_S)

    def _answers(self, path: Path, task: str) -> Iterator[pl.DataFrame]:
        predictor, first = self.served.predictor, 0
        rows = AnswerRows(
            predictor, self.served.version, partial(self.books.score, self.served),
            predictor.histories() if self.spec.has_history else None,
        )  # fmt: skip
        for part in self._read(path, task):
            checked, count = self._checked(part), part.about["rows"]
            yield rows.frame(checked, first, count, checked.echoed)
            first += count

    def _checked(self, part: ReadPart) -> CheckedReadings:
        """Put together what the reader has left of a part."""
        blocks = zip(part.about["tables"], part.blocks[1:], strict=True)
        tables = {name: pl.read_ipc_stream(block) for name, block in blocks}
        inputs = np.frombuffer(part.blocks[0], np.float64).reshape(-1, len(self.spec.input_names))
        return CheckedReadings(
            inputs, tables.get("faults"), tables.get("series"), tables.get("echoed")
        )
