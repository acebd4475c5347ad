"""Read parts of the curated data set, whether they lie by themselves or were put together.

Each part is read from one place, as its file wrote it: from its own object, or the same rows from
the compaction that holds them. So a reader gets each row once, whatever is put together meanwhile.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.naming import part_of
from presagio.ingest.outputs import PART, RECEIPT, curated_schema
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_in
from presagio.storage.compactions import Compaction
from presagio.storage.filed_rows import FiledRows

_BLOCK_ROWS = 50_000
_BLOCK_FILES = 1000
# Compactions that are held in memory: files between those of one may be in another.
_HELD = 2


def kept_text(name: str, spec: MachineSpec) -> pl.Expr:
    """Return a column that was kept as text, typed as the machine spec says."""
    text = pl.col(name).cast(pl.String).str.strip_chars()
    if (time := spec.time) is not None and name == time.name:
        text = time_in(text, time)
    return text.alias(name)


def _as_known(
    name: str, there: pl.DataType | None, known: pl.DataType, spec: MachineSpec
) -> pl.Expr:
    """Return a column as the machine spec has it now, whichever version it was written under."""
    if there is None:
        # A sensor that was added later.
        return pl.lit(None, known).alias(name)
    if there == known:
        return pl.col(name)
    # What was kept as text is a time now, or the other way about.
    return kept_text(name, spec).cast(known, strict=False)


def decoded(body: bytes, columns: Sequence[str], spec: MachineSpec) -> pl.DataFrame:
    """Return some columns of an object as the machine spec has them; null where it has none.

    Parameters
    ----------
    body
        The object.
    columns
        Of :func:`.outputs.curated_schema`; of a compaction also ``PART``.
    spec
        The machine spec.
    """
    file, known = io.BytesIO(body), {**curated_schema(spec), PART: pl.Int32()}
    there = pl.read_parquet_schema(file)
    part = pl.read_parquet(file, columns=[name for name in columns if name in there])
    return part.select(_as_known(name, there.get(name), known[name], spec) for name in columns)


@dataclass(frozen=True)
class _Held:
    """The rows of a compaction that count, in order of receipt and part."""

    rows: pl.DataFrame
    numbers: NDArray[np.int64]
    receipts: frozenset[int]

    def of(self, receipts: Sequence[int]) -> pl.DataFrame:
        """Return the rows of some receipts, whose numbers grow."""
        first = int(np.searchsorted(self.numbers, receipts[0], "left"))
        behind = int(np.searchsorted(self.numbers, receipts[-1], "right"))
        found = self.rows[first:behind]
        return found if len(receipts) == 1 else found.filter(pl.col(RECEIPT).is_in([*receipts]))


class CuratedParts:
    """Reads some columns of many parts of a fleet; what was put together is read once.

    Parameters
    ----------
    intake
        Where the curated data set and the ledger are.
    columns
        What is wanted of each row.
    kept_bytes
        How much of what was read is kept in memory, for whoever asks for the same parts again.
    """

    def __init__(self, intake: Intake, columns: Sequence[str], *, kept_bytes: int = 0) -> None:
        self._intake, self._columns = intake, tuple(columns)
        self._compactions = intake.ledger.compactions(intake.prefixes.bucket)
        self._all = tuple(dict.fromkeys((RECEIPT, PART, *columns)))
        self._held: dict[int, _Held] = {}
        self._kept_bytes, self._kept = kept_bytes, dict[str, pl.DataFrame]()

    def read(self, key: str, receipt_id: int) -> pl.DataFrame:
        """Read one part of a file.

        Raises
        ------
        DataError
            If it is gone.
        StorageError
            If store or ledger fail.
        """
        return self._part(key, receipt_id).select(self._columns)

    @property
    def spec(self) -> MachineSpec:
        """The machine spec by which columns are known."""
        return self._intake.spec

    def compacted(self, key: str, number: int, wanted: pl.Expr) -> pl.DataFrame:
        """Read the rows of one object of a compaction that count, and that are wanted.

        Raises
        ------
        DataError
            If it is gone.
        StorageError
            If store or ledger fail.
        """
        found = self._decoded(key, self._all)
        if found is None:
            raise DataError(
                f"{key} of compaction {number} is gone from "
                f"{self._intake.prefixes.curated_bucket}; make its rows again with: presagio "
                "ingest verify --repair"
            )
        rows = found.filter(wanted)
        counted = self._compactions.receipts(number, among=rows[RECEIPT].unique().to_list())
        return rows.filter(pl.col(RECEIPT).is_in(counted)).select(self._columns)

    def _decoded(self, key: str, columns: Sequence[str]) -> pl.DataFrame | None:
        """Return columns of an object, from memory where it is kept; None where it is gone."""
        if key in self._kept:
            return self._kept[key]
        read = self._intake.store.read(self._intake.prefixes.curated_bucket, key)
        if read is None:
            return None
        found = decoded(read[0], columns, self._intake.spec)
        if found.estimated_size() <= self._kept_bytes:
            self._kept[key] = found
            while sum(one.estimated_size() for one in self._kept.values()) > self._kept_bytes:
                del self._kept[next(iter(self._kept))]
        return found

    def _part(self, key: str, receipt_id: int) -> pl.DataFrame:
        for held in self._held.values():
            if receipt_id in held.receipts:
                return _of_part(held, key, receipt_id)
        found = self._decoded(key, [name for name in self._all if name != PART])
        if found is not None:
            return found
        # It may have been put together since it was listed.
        compaction = self._compactions.of_receipt(receipt_id)
        held_now = None if compaction is None else self._hold(compaction)
        if held_now is not None and receipt_id in held_now.receipts:
            return _of_part(held_now, key, receipt_id)
        raise DataError(
            f"{key} of receipt {receipt_id} is gone from {self._intake.prefixes.curated_bucket}; "
            "make it again with: presagio ingest verify --repair"
        )

    def _hold(self, compaction: Compaction) -> _Held | None:
        """Read a compaction; None where it is gone."""
        found, receipts = [], frozenset(self._compactions.receipts(compaction.id))
        for key in compaction.keys:
            read = self._intake.store.read(self._intake.prefixes.curated_bucket, key)
            if read is None:
                return None
            found.append(decoded(read[0], self._all, self._intake.spec))
        rows = pl.concat(found).sort(RECEIPT, PART, maintain_order=True)
        numbers = rows[RECEIPT].to_numpy()
        while len(self._held) >= _HELD:
            del self._held[next(iter(self._held))]
        self._held[compaction.id] = _Held(rows, numbers, receipts)
        return self._held[compaction.id]

    def _held_of(self, compaction_id: int) -> _Held | None:
        if compaction_id in self._held:
            return self._held[compaction_id]
        compaction = self._compactions.get(compaction_id)
        return None if compaction is None else self._hold(compaction)

    def blocks(self, files: Iterable[FiledRows]) -> Iterator[pl.DataFrame]:
        """Yield the rows of files, in their order and many files at a time, with ``receipt_id``.

        Parameters
        ----------
        files
            Where rows lie, oldest file first.

        Raises
        ------
        DataError
            If rows are gone.
        StorageError
            If store or ledger fail.
        """
        columns = list(dict.fromkeys((RECEIPT, *self._columns)))
        for compaction_id, some in groupby(files, key=lambda file: file.compaction_id):
            # However many files are in one compaction, their rows are bounded.
            for run in [list(some)] if compaction_id is not None else _runs(some):
                held = None if compaction_id is None else self._held_of(compaction_id)
                if held is not None:
                    yield held.of([file.receipt_id for file in run]).select(columns)
                else:
                    parts = [self._part(key, f.receipt_id) for f in run for key in f.keys]
                    if parts:
                        yield pl.concat([part.select(columns) for part in parts])


def _of_part(held: _Held, key: str, receipt_id: int) -> pl.DataFrame:
    return held.of([receipt_id]).filter(pl.col(PART) == part_of(key))


def _runs(files: Iterable[FiledRows]) -> Iterator[list[FiledRows]]:
    """Yield so many files at a time as are read before what came of them is handed on."""
    run, rows = list[FiledRows](), 0
    for file in files:
        run.append(file)
        rows += file.rows
        if rows >= _BLOCK_ROWS or len(run) >= _BLOCK_FILES:
            yield run
            run, rows = [], 0
    if run:
        yield run


def read_part(intake: Intake, key: str, receipt_id: int, columns: Sequence[str]) -> pl.DataFrame:
    """Read some columns of one part of a file; null where it has no such column.

    Raises
    ------
    DataError
        If it is gone.
    """
    return CuratedParts(intake, columns).read(key, receipt_id)
