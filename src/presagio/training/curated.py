"""Labelled rows of the curated data set: what retraining learns from besides the base rows."""

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import curated_schema
from presagio.ingest.verdict import BLOCKING
from presagio.machine.spec import MachineSpec
from presagio.storage.ledger import Receipt
from presagio.training.dataset import Dataset, DatasetBuilder

_BATCH_ROWS = 500_000


def refuse_blocked(intake: Intake) -> None:
    """Refuse to train while a file that was refused whole has not been looked at.

    Raises
    ------
    DataError
        If there is one; the message names each and says what to do.
    """
    blocking = intake.ledger.blocking(intake.prefixes.bucket, BLOCKING)
    if not blocking:
        return
    files = "; ".join(
        f"receipt {receipt.id} ({receipt.identity.key}): {receipt.outcome.message}"
        for receipt in blocking
    )
    raise DataError(
        f"files that were refused whole keep training from starting: {files}. Send each again, "
        "mended, under its name, or train without it: presagio ingest release RECEIPT --why TEXT"
    )


def read_part(intake: Intake, key: str, receipt_id: int, columns: Sequence[str]) -> pl.DataFrame:
    """Read some columns of one object of the curated data set.

    Raises
    ------
    DataError
        If it is gone.
    """
    read = intake.store.read(intake.prefixes.curated_bucket, key)
    if read is None:
        raise DataError(
            f"{key} of receipt {receipt_id} is gone from {intake.prefixes.curated_bucket}; "
            "make it again with: presagio ingest verify --mend"
        )
    return pl.read_parquet(io.BytesIO(read[0]), columns=list(columns))


def processed_receipts(intake: Intake, *, after: int = 0) -> list[Receipt]:
    """Return the receipts of files whose rows were taken, oldest first.

    Parameters
    ----------
    intake
        Where the ledger is.
    after
        Only those with a higher id.
    """
    bucket = intake.prefixes.bucket
    filed = intake.ledger.receipts(bucket=bucket, verdict="processed", after=after, limit=None)
    return filed[::-1]


def labelled_rows(intake: Intake, *, after: int = 0) -> Iterator[tuple[Receipt, pl.DataFrame]]:
    """Yield the labelled rows of each file, oldest first; files without such not.

    Of each row it holds what training needs: inputs, labels, the column that divides rows.

    Raises
    ------
    DataError
        If an object is gone.
    """
    spec = intake.spec
    columns = _training_schema(spec).names()
    for receipt in processed_receipts(intake, after=after):
        if receipt.outcome.rows_processed and not receipt.outcome.curated_keys:
            raise DataError(
                f"receipt {receipt.id} is older than the curated data set; take its rows in with: "
                "presagio ingest verify --mend"
            )
        parts = [read_part(intake, k, receipt.id, columns) for k in receipt.outcome.curated_keys]
        labelled = [part.filter(pl.col(spec.target.name).is_not_null()) for part in parts]
        if any(map(len, labelled)):
            yield receipt, pl.concat(labelled)


def _training_schema(spec: MachineSpec) -> pl.Schema:
    divided = () if spec.division is None else (spec.division.column,)
    wanted = (*spec.input_names, *spec.label_names, *divided)
    return pl.Schema({n: dtype for n, dtype in curated_schema(spec).items() if n in wanted})


def read_curated(intake: Intake, base: tuple[pl.DataFrame, str] | None = None) -> Dataset:
    """Read the labelled rows of the curated data set, oldest first.

    The ledger says which objects belong to it. Rows that came twice are taken once: the same row
    in training and test part would flatter the figures.

    Parameters
    ----------
    intake
        Where the curated data set and the ledger are.
    base
        Rows to learn from besides, which go first, and where they come from.

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
    for batch in _batches(frames(), _training_schema(spec)):
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


def _batches(frames: Iterable[pl.DataFrame], schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Put small frames together, each with the same columns: what one lacks is null."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(
            frame.select(
                pl.col(name) if name in frame.columns else pl.lit(None, dtype).alias(name)
                for name, dtype in schema.items()
            )
        )
        if sum(map(len, waiting)) >= _BATCH_ROWS:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)
