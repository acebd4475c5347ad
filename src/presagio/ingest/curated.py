"""Read the curated data set: the ledger says which objects belong to it."""

import io
from collections.abc import Iterator, Sequence

import polars as pl

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import curated_schema
from presagio.ingest.verdict import BLOCKING
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_in
from presagio.storage.receipt import Receipt

# Of files that keep training from starting, so many are named.
_NAMED = 20


def refuse_blocked(intake: Intake) -> None:
    """Refuse to train while a file that was refused whole has not been looked at.

    Raises
    ------
    DataError
        If there is one; the message names the first ones and says what to do.
    """
    blocking = intake.ledger.blocking(intake.prefixes.bucket, BLOCKING, limit=_NAMED + 1)
    if not blocking:
        return
    files = "; ".join(
        f"receipt {receipt.id} ({receipt.identity.key}): {receipt.outcome.message}"
        for receipt in blocking[:_NAMED]
    )
    if len(blocking) > _NAMED:
        files += "; and more"
    raise DataError(
        f"files that were refused whole keep training from starting: {files}. Send each again, "
        "corrected, under its name, or train without it: presagio ingest release RECEIPT --why TEXT"
    )


def read_part(intake: Intake, key: str, receipt_id: int, columns: Sequence[str]) -> pl.DataFrame:
    """Read some columns of one object of the curated data set; null where it has no such column.

    Raises
    ------
    DataError
        If it is gone.
    """
    read = intake.store.read(intake.prefixes.curated_bucket, key)
    if read is None:
        raise DataError(
            f"{key} of receipt {receipt_id} is gone from {intake.prefixes.curated_bucket}; "
            "make it again with: presagio ingest verify --repair"
        )
    file, known = io.BytesIO(read[0]), curated_schema(intake.spec)
    there = pl.read_parquet_schema(file)
    part = pl.read_parquet(file, columns=[name for name in columns if name in there])
    return part.select(
        _as_known(name, there.get(name), known[name], intake.spec) for name in columns
    )


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


def kept_text(name: str, spec: MachineSpec) -> pl.Expr:
    """Return a column that was kept as text, typed as the machine spec says."""
    text = pl.col(name).cast(pl.String).str.strip_chars()
    if (time := spec.time) is not None and name == time.name:
        text = time_in(text, time)
    return text.alias(name)


def without_required_gaps(rows: pl.DataFrame, spec: MachineSpec) -> pl.DataFrame:
    """Leave out rows that lack a required input: some were written before it was known."""
    required = [name for name in spec.input_names if name not in spec.optional_names]
    return rows.drop_nulls(required)


def processed_receipts(
    intake: Intake, *, after: int = 0, of_events: bool = False, newest_first: bool = False
) -> Iterator[Receipt]:
    """Yield the receipts of files whose rows were taken, oldest first unless asked otherwise.

    A page of them is held at a time: they may be millions.

    Parameters
    ----------
    intake
        Where the ledger is.
    after
        Only those with a higher id.
    of_events
        Whether they are of logs of events, and not of readings; always oldest first.
    newest_first
        Whether the newest come first.
    """
    ledger, bucket, events = intake.ledger, intake.prefixes.bucket, intake.events_prefix
    if of_events:
        if events is not None:
            yield from ledger.receipts_below(bucket, events, "processed", after=after)
        return
    filed = ledger.each_receipt(
        bucket=bucket, verdict="processed", after=after, newest_first=newest_first
    )
    yield from (receipt for receipt in filed if not intake.is_of_events(receipt.identity.key))


def labelled_rows(intake: Intake, *, after: int = 0) -> Iterator[tuple[Receipt, pl.DataFrame]]:
    """Yield the labelled rows of each file, oldest first; files without such not.

    Of each row it holds what training needs: see :func:`training_schema`.

    Raises
    ------
    DataError
        If an object is gone.
    """
    spec = intake.spec
    columns = training_schema(spec).names()
    for receipt in processed_receipts(intake, after=after):
        if receipt.outcome.rows_processed and not receipt.outcome.curated_keys:
            raise DataError(
                f"receipt {receipt.id} is older than the curated data set; take its rows in with: "
                "presagio ingest verify --repair"
            )
        parts = [read_part(intake, k, receipt.id, columns) for k in receipt.outcome.curated_keys]
        if spec.needs_target:
            parts = [part.filter(pl.col(spec.target.name).is_not_null()) for part in parts]
        if any(map(len, parts)):
            yield receipt, pl.concat(parts)


def training_schema(spec: MachineSpec) -> pl.Schema:
    """Return what training needs of a row: inputs, labels, and identifiers such as unit and time.

    By identifiers rows are told apart, and divided.
    """
    kept = (column.name for column in spec.kept_columns)
    wanted = {*spec.input_names, *spec.label_names, *kept}
    return pl.Schema({n: dtype for n, dtype in curated_schema(spec).items() if n in wanted})
