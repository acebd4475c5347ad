"""Labelled rows of the curated data set: what retraining learns from besides the base rows."""

import io
from collections.abc import Iterator, Sequence

import polars as pl

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.verdict import BLOCKING
from presagio.machine.spec import MachineSpec
from presagio.storage.ledger import Receipt
from presagio.training.dataset import Dataset, dataset_from_frame


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
    filed = intake.ledger.receipts(bucket=intake.prefixes.bucket, verdict="processed", limit=None)
    return [receipt for receipt in reversed(filed) if receipt.id > after]


def labelled_rows(intake: Intake, *, after: int = 0) -> Iterator[tuple[Receipt, pl.DataFrame]]:
    """Yield the labelled rows of each file, oldest first; files without such not.

    Of each row it holds what training needs: inputs, labels, the column that divides rows.

    Raises
    ------
    DataError
        If an object is gone.
    """
    spec = intake.spec
    columns = _training_columns(spec)
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


def _training_columns(spec: MachineSpec) -> tuple[str, ...]:
    divided = () if spec.division is None else (spec.division.column,)
    return (*spec.input_names, *spec.label_names, *divided)


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
    spec = intake.spec
    found = list(labelled_rows(intake))
    if not found:
        raise DataError(
            f"no row in {intake.prefixes.curated_bucket}/{intake.prefixes.curated} has "
            f"{spec.target.name}; upload a labelled file with: presagio ingest FILE"
        )
    frames, source = [rows for _, rows in found], f"the curated rows of {len(found)} file"
    source += "s" if len(found) > 1 else ""
    if base is not None:
        known = [name for name in _training_columns(spec) if name in base[0].columns]
        frames.insert(0, base[0].select(known))
        source = f"{base[1]} and {source}"
    everything = pl.concat(frames, how="diagonal")
    labels = [name for name in spec.label_names if name in everything.columns]
    once = everything.unique([*spec.input_names, *labels], maintain_order=True)
    if doubled := len(everything) - len(once):
        source += f", without {doubled} rows that came twice"
    receipts = tuple(receipt.id for receipt, _ in found)
    return dataset_from_frame(once, spec, source, receipts=receipts)
