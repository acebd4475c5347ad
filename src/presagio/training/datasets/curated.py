"""Labelled rows of the curated data set: what retraining learns from besides the base rows."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import NoDataError
from presagio.ingest.curated import (
    labelled_rows,
    refuse_blocked,
    training_schema,
    without_required_gaps,
)
from presagio.ingest.events import read_events
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT
from presagio.machine.spec import MachineSpec
from presagio.sentences import Number, Sentence, Value
from presagio.training.datasets.builder import DatasetBuilder, series_columns
from presagio.training.datasets.dataset import Dataset

_BATCH_ROWS = 500_000
_IDENTITY = "identity"
_READING = "unit and time"


def read_curated(
    intake: Intake,
    base: tuple[pl.DataFrame, Value] | None = None,
    *,
    batch_rows: int = _BATCH_ROWS,
) -> Dataset:
    """Read the labelled rows of the curated data set, oldest first.

    The ledger says which objects belong to it. Rows of one file that another file has too are taken
    once: the same row in training and test part would flatter the metrics. Rows are the same by
    their readings, labels and identifiers: the same reading of another unit, or at another time, is
    another row. Of two that differ, of one unit and time, the one of the earlier file counts.

    Parameters
    ----------
    intake
        Where the curated data set and the ledger are.
    base
        Rows to learn from besides, which go first, and where they come from.
    batch_rows
        Of so many rows, or one file with more, inputs are held in memory at once.

    Raises
    ------
    NoDataError
        If there is no labelled row.
    DataError
        If an object is gone, or a file that was refused whole has not
        been released.
    """
    refuse_blocked(intake)
    spec, receipts = intake.spec, list[int]()

    def frames() -> Iterator[pl.DataFrame]:
        if base is not None:
            yield base[0]
        for rows in labelled_rows(intake):
            receipts.extend(rows[RECEIPT].unique(maintain_order=True).to_list())
            yield rows

    builder, once = DatasetBuilder(spec), _Once(spec)
    for batch in _batches((_identified(rows, spec) for rows in frames()), batch_rows):
        builder.add(once.usable(batch))
    if not receipts:
        raise NoDataError(
            f"no row in {intake.prefixes.curated_bucket}/{intake.prefixes.curated} has "
            f"{spec.target.name}; upload a labelled file with: presagio ingest FILE"
        )
    origin = _of_files(len(receipts))
    if (logged := read_events(intake)).receipts:
        builder.add_events(logged)
        receipts += logged.receipts
        origin = Sentence(
            "%(source)s and %(count)s of events",
            {"source": origin, "count": Number(len(logged.receipts), 0)},
        )
    if base is not None:
        origin = Sentence("%(one)s and %(other)s", {"one": base[1], "other": origin})
    origin = once.without(origin)
    dataset = builder.finish(str(origin), receipts=tuple(sorted({*receipts})))
    prefixes = intake.prefixes
    address = f"s3://{prefixes.curated_bucket}/{prefixes.curated}"
    return replace(dataset, address=address, origin=origin)


def _of_files(count: int) -> Sentence:
    values: dict[str, Value] = {"count": Number(count, 0)}
    if count == 1:
        return Sentence("the curated rows of %(count)s file", values)
    return Sentence("the curated rows of %(count)s files", values)


def _identified(rows: pl.DataFrame, spec: MachineSpec) -> pl.DataFrame:
    """Return what is learned from the rows of files, each with a digest of all that it says.

    A row that stands in its file for the third time is another one than for the second time: the
    intake has kept it, since a machine that runs steadily may well send it again.
    """
    known = rows.select(
        pl.col(name) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in training_schema(spec).items()
    )
    # 8 bytes a row. That two rows of ten million share a digest by chance happens once in
    # 400,000 trainings, and then one of them is missing.
    digests = known.hash_rows(seed=0).to_frame(_IDENTITY)
    file = rows[RECEIPT] if RECEIPT in rows.columns else pl.lit(0).alias(RECEIPT)
    nth = pl.int_range(pl.len()).over(_IDENTITY, RECEIPT).alias("nth")
    counted = digests.with_columns(file).select(_IDENTITY, nth)
    learned = {*spec.input_names, *spec.label_names, *series_columns(spec)}
    marks = [counted.hash_rows(seed=0).alias(_IDENTITY)]
    if spec.is_series:
        marks.append(known.select(spec.needed_columns[:2]).hash_rows(seed=0).alias(_READING))
    return known.select(name for name in known.columns if name in learned).with_columns(marks)


class _Digests:
    """Tells which digests are there for the first time."""

    def __init__(self) -> None:
        self._seen = np.zeros(0, dtype=np.uint64)

    def first(self, digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
        _, first = np.unique(digests, return_index=True)
        new = np.zeros(len(digests), dtype=bool)
        new[first] = ~np.isin(digests[first], self._seen)
        self._seen = np.concatenate([self._seen, digests[new]])
        return new


class _Once:
    """Lets each row pass once, and of the readings of one unit and time the first."""

    def __init__(self, spec: MachineSpec) -> None:
        self._spec = spec
        self._rows, self._readings = _Digests(), _Digests()
        self._repeated, self._contradicting, self._lacking = 0, 0, 0

    def usable(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those that are learned from, and count the others."""
        new = rows.filter(pl.Series(self._rows.first(rows[_IDENTITY].to_numpy())))
        self._repeated += len(rows) - len(new)
        first = new
        if _READING in new.columns:
            first = new.filter(pl.Series(self._readings.first(new[_READING].to_numpy())))
            self._contradicting += len(new) - len(first)
        whole = without_required_gaps(first, self._spec)
        self._lacking += len(first) - len(whole)
        return whole

    def without(self, source: Sentence) -> Sentence:
        """Return where rows come from, with what was left out of them."""
        if self._repeated:
            values: dict[str, Value] = {"source": source, "count": Number(self._repeated, 0)}
            source = Sentence("%(source)s, without %(count)s rows that came twice", values)
        if self._contradicting:
            values = {"source": source, "count": Number(self._contradicting, 0)}
            source = Sentence(
                "%(source)s, without %(count)s readings of a time that an earlier file has too",
                values,
            )
        if self._lacking:
            values = {"source": source, "count": Number(self._lacking, 0)}
            source = Sentence(
                "%(source)s, without %(count)s rows that lack an input which may not be missing",
                values,
            )
        return source


def _batches(frames: Iterable[pl.DataFrame], batch_rows: int) -> Iterator[pl.DataFrame]:
    """Put small frames together."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= batch_rows:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)
