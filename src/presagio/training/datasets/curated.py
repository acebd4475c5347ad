"""Labelled rows of the curated data set: what retraining learns from besides the base rows."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from presagio.errors import DataError
from presagio.ingest.curated import labelled_rows, refuse_blocked, training_schema
from presagio.ingest.filing import Intake
from presagio.training.datasets.dataset import Dataset, DatasetBuilder

_BATCH_ROWS = 500_000


def read_curated(
    intake: Intake,
    base: tuple[pl.DataFrame, str] | None = None,
    *,
    batch_rows: int = _BATCH_ROWS,
) -> Dataset:
    """Read the labelled rows of the curated data set, oldest first.

    The ledger says which objects belong to it. Rows that came twice are taken once: the same row
    in training and test part would flatter the figures.

    Parameters
    ----------
    intake
        Where the curated data set and the ledger are.
    base
        Rows to learn from besides, which go first, and where they come from.
    batch_rows
        Rows of small files that are put together before they are taken.

    Raises
    ------
    DataError
        If there is no labelled row, an object is gone, or a file that was refused whole has not
        been released.
    """
    refuse_blocked(intake)
    spec, receipts = intake.spec, list[int]()

    def frames() -> Iterator[pl.DataFrame]:
        if base is not None:
            yield base[0]
        for receipt, rows in labelled_rows(intake):
            receipts.append(receipt.id)
            yield rows

    builder, once = DatasetBuilder(spec), _Once((*spec.input_names, *spec.label_names))
    for batch in _batches(frames(), training_schema(spec), batch_rows):
        builder.add(once.fresh(batch))
    if not receipts:
        raise DataError(
            f"no row in {intake.prefixes.curated_bucket}/{intake.prefixes.curated} has "
            f"{spec.target.name}; upload a labelled file with: presagio ingest FILE"
        )
    source = f"the curated rows of {len(receipts)} file{'s' if len(receipts) > 1 else ''}"
    if base is not None:
        source = f"{base[1]} and {source}"
    if once.doubled:
        source += f", without {once.doubled} rows that came twice"
    return builder.finish(source, receipts=tuple(receipts))


class _Once:
    """Lets each row pass once, by what it says."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._seen = np.zeros(0, dtype=np.uint64)
        self.doubled = 0

    def fresh(self, rows: pl.DataFrame) -> pl.DataFrame:
        # 8 bytes a row. That two rows of ten million share a digest by chance happens once in
        # 400,000 trainings, and then one of them is missing.
        digests = rows.select(self._columns).hash_rows(seed=0).to_numpy()
        _, first = np.unique(digests, return_index=True)
        new = np.zeros(len(rows), dtype=bool)
        new[first] = ~np.isin(digests[first], self._seen)
        self._seen = np.concatenate([self._seen, digests[new]])
        self.doubled += int((~new).sum())
        return rows.filter(pl.Series(new))


def _batches(
    frames: Iterable[pl.DataFrame], schema: pl.Schema, most: int
) -> Iterator[pl.DataFrame]:
    """Put small frames together, each with the same columns: what one lacks is null."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(
            frame.select(
                pl.col(name) if name in frame.columns else pl.lit(None, dtype).alias(name)
                for name, dtype in schema.items()
            )
        )
        if sum(map(len, waiting)) >= most:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)
