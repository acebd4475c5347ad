"""Predict a file of readings: read, checked, predicted and answered a part at a time."""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.inference.series import SeriesFeatures
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers
from presagio.readings.process.pool import open_pool
from presagio.readings.process.reader_limits import reader_limits
from presagio.readings.process.reading import ReadPart
from presagio.scoring.frames import as_frame
from presagio.serving.bookkeeping import Bookkeeping
from presagio.serving.champion.holder import Served
from presagio.serving.routes.formats import FORMATS
from presagio.settings import Settings

Floats = NDArray[np.float64]

_BY_TYPE = {form.media_type: form for form in FORMATS}
# So long a file waits for a reader; then its sender is told to come again.
_WAIT_S = 30.0


def _at_good(values: pl.Series, good: pl.Series | None) -> pl.Series:
    """Put the values of good rows at their places, and null at the others."""
    if good is None:
        return values
    full = pl.Series([None], dtype=values.dtype).new_from_index(0, len(good))
    return full.scatter(good.arg_true(), values)


def _named_apart(sent: pl.DataFrame, answered: Collection[str]) -> dict[str, pl.Series]:
    """Return columns of a file by their names, apart from those that an answer has."""
    found: dict[str, pl.Series] = {}
    for column in sent:
        name = column.name or "column"
        while name in found or name in answered:
            name += " (sent)"
        found[name] = column
    return found


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
        spec, first = self.spec, 0
        histories = self.served.predictor.histories() if spec.has_history else None
        for part in self._read(path, task):
            yield self._predicted(part, first, histories)
            first += part.about["rows"]

    def _named(self, gaps: NDArray[np.bool_], good: pl.Series | None) -> pl.Series:
        """Name the inputs for which a row has a true value; gaps have shape ``(g, k)``."""
        frame = pl.DataFrame(gaps, schema=[*self.spec.input_names])
        named = [pl.when(pl.col(name)).then(pl.lit(name)) for name in self.spec.optional_names]
        words = frame.select(pl.concat_str(named, separator=" ", ignore_nulls=True)).to_series()
        return _at_good(words, good)

    def _imputed(
        self, inputs: Floats, expanded: Floats | None, good: pl.Series | None
    ) -> dict[str, pl.Series]:
        """Name what was missing in each row, where anything may be, and what was carried there."""
        if not self.spec.optional_names:
            return {}
        gaps = np.isnan(inputs)
        found = {"imputed": self._named(gaps, good)}
        if self.spec.carried_names:
            known = (
                np.zeros_like(gaps) if expanded is None else ~np.isnan(expanded[:, : gaps.shape[1]])
            )
            found["carried"] = self._named(gaps & known, good)
        return found

    def _remaining(self, inputs: Floats, good: pl.Series | None) -> dict[str, pl.Series]:
        """Say how long units have left, where the model has that output."""
        life = self.served.predictor.remaining_life(inputs)
        if life is None:
            return {}
        columns = {
            "remaining_life": life.value, "remaining_low": life.low, "remaining_high": life.high,
        }  # fmt: skip
        return {
            name: _at_good(pl.Series(values).fill_nan(None), good)
            for name, values in columns.items()
        }

    def _predicted(
        self, part: ReadPart, first: int, histories: SeriesFeatures | None
    ) -> pl.DataFrame:
        rows, good = part.about["rows"], None
        tables = dict(zip(part.about["tables"], part.blocks[1:], strict=True))
        empty = pl.Series([None], dtype=pl.String).new_from_index(0, rows)
        fault = reason = empty
        if "faults" in tables:
            faults = pl.read_ipc_stream(tables["faults"])
            fault, reason = faults.select("fault", "reason")
            good = fault.is_null()
        inputs = np.frombuffer(part.blocks[0], np.float64).reshape(-1, len(self.spec.input_names))
        expanded, series = None, dict[str, pl.Series]()
        if histories is not None and "series" in tables:
            unit, time = pl.read_ipc_stream(tables["series"]).select("unit", "time")
            shown = time
            if isinstance(time.dtype, pl.Datetime):
                shown = time.dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ")
            series = {"unit": _at_good(unit, good), "time": _at_good(shown, good)}
            if good is not None:
                # Of bad rows as it is written: whoever sent them has to find them.
                series["unit"] = series["unit"].zip_with(good, faults["unit"])
            expanded = histories.expand(inputs, unit.to_numpy(), time_numbers(time))
        scores = as_frame(self.books.score(self.served, inputs, expanded))
        place = {"row": pl.arange(first, first + rows, eager=True), **series}
        answer = {
            **{name: _at_good(scores[name], good) for name in scores.columns},
            **self._remaining(inputs if expanded is None else expanded, good),
            **self._imputed(inputs, expanded, good),
            "version": pl.Series([self.served.version]).new_from_index(0, rows),
            "fault": fault,
            "reason": reason,
        }
        echoed = dict[str, pl.Series]()
        if "echoed" in tables:
            sent = pl.read_ipc_stream(tables["echoed"])
            echoed = _named_apart(sent, {*place, *answer})
        return pl.DataFrame(place | echoed | answer)
