"""Read the curated data set: the ledger says which objects belong to it."""

from collections.abc import Iterator

import polars as pl

from presagio.errors import DataError
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import curated_schema
from presagio.ingest.verdict import BLOCKING
from presagio.machine.spec import MachineSpec
from presagio.storage.filed_rows import FiledRows
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
        Whether they are of logs of events, and not of readings; always in the order of their keys.
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


def labelled_rows(intake: Intake, *, after: int = 0) -> Iterator[pl.DataFrame]:
    """Yield the labelled rows of all files, oldest first, many files at a time.

    Parameters
    ----------
    intake
        Where they lie.
    after
        Only those of files with a higher receipt.

    Yields
    ------
    polars.DataFrame
        Of each row ``receipt_id`` and what training needs: see :func:`training_schema`. The rows of
        a file stand together.

    Raises
    ------
    DataError
        If an object is gone.
    """
    spec = intake.spec
    for rows in CuratedParts(intake, training_schema(spec).names()).blocks(
        files_of_readings(intake, after)
    ):
        labelled = rows
        if spec.needs_target:
            labelled = rows.filter(pl.col(spec.target.name).is_not_null())
        if len(labelled):
            yield labelled


def files_of_readings(intake: Intake, after: int) -> Iterator[FiledRows]:
    """Yield where the rows of files of readings lie, of those with a higher receipt.

    Raises
    ------
    DataError
        If a file was taken before there was a curated data set.
    """
    for file in intake.ledger.filed_rows(intake.prefixes.bucket, after=after):
        if intake.is_of_events(file.key):
            continue
        if file.rows and not file.keys:
            raise DataError(
                f"receipt {file.receipt_id} is older than the curated data set; take its rows in "
                "with: presagio ingest verify --repair"
            )
        yield file


def training_schema(spec: MachineSpec) -> pl.Schema:
    """Return what training needs of a row: inputs, labels, and identifiers such as unit and time.

    By identifiers rows are told apart, and divided.
    """
    kept = (column.name for column in spec.kept_columns)
    wanted = {*spec.input_names, *spec.label_names, *kept}
    return pl.Schema({n: dtype for n, dtype in curated_schema(spec).items() if n in wanted})
