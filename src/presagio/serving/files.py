"""Judge a file of readings: read, checked, judged and answered a part at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.machine.spec import MachineSpec
from presagio.serving.champion import Served
from presagio.serving.formats import FORMATS
from presagio.serving.judgement import Judge
from presagio.serving.readings import ReadingsTable

_BY_TYPE = {form.media_type: form for form in FORMATS}


def _at_good(values: NDArray[Any], good: NDArray[np.bool_], kind: Any) -> pl.Series:
    """Put the values of good rows at their places, and null at the others."""
    if good.all():
        return pl.Series(values, dtype=kind)
    full = pl.Series([None], dtype=kind).new_from_index(0, len(good))
    return full.scatter(np.flatnonzero(good), pl.Series(values, dtype=kind))


@dataclass(frozen=True)
class FileJudge:
    """Judges one file: one model for all of it."""

    served: Served
    spec: MachineSpec
    judge: Judge

    def answer(self, path: Path, sent: str, wanted: str, *, most_rows: int) -> Iterator[bytes]:
        """Return the answer, whose first part is made already.

        Parameters
        ----------
        path
            The file.
        sent, wanted
            Media types of the file and of the answer.
        most_rows
            How many rows a JSON list may have.

        Raises
        ------
        DataError
            If it is no such file, or its columns are not those of the machine spec.
        """
        frames = _BY_TYPE[sent].read(path, most_rows)
        parts = _BY_TYPE[wanted].write(self._answers(frames))
        first = next(parts, b"")

        def every() -> Iterator[bytes]:
            yield first
            yield from parts

        return every()

    def _answers(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        table, rows = None, 0
        for frame in frames:
            table = table or ReadingsTable(frame.schema, self.spec)
            yield self._judged(table, frame, rows)
            rows += frame.height

    def _judged(self, table: ReadingsTable, frame: pl.DataFrame, first: int) -> pl.DataFrame:
        checked = table.check(frame)
        said = self.judge.judge(self.served, checked.inputs)
        columns = {
            "row": pl.arange(first, first + frame.height, eager=True),
            "label": _at_good(said.label, checked.good, pl.Boolean),
            "probability": _at_good(said.probability, checked.good, pl.Float64),
            "score": _at_good(said.score, checked.good, pl.Float64),
            "version": pl.Series([self.served.version]).new_from_index(0, frame.height),
            "fault": checked.faults,
        }
        return pl.DataFrame(columns)
