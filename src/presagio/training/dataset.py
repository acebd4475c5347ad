"""Labelled readings to train on, and where they come from."""

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.reading import check_file, suffix_of
from presagio.ingest.verdict import BLOCKING
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings

FETCHED_FILE = "ai4i2020.csv"
_GENERATED_ROWS = 10_000
_FEWEST_FAILURES = 20


@dataclass(frozen=True)
class Dataset:
    """Labelled readings.

    Attributes
    ----------
    inputs
        ``n`` rows, the spec's inputs as columns.
    labels
        ``n`` rows: the target (whether the row is a failure) first, then the failure modes, where
        each failure's mode is known.
    source
        Where the rows come from, in words.
    sha256
        Digest of inputs and target, whatever file they came in.
    receipts
        Ids of the ledger's receipts that the rows came through.
    rejected
        How many rows of the source failed the checks and are not in here.
    divided_by
        ``time`` or ``unit`` where the machine spec names a column to divide by.
    keys
        That column, shape ``(n,)``.
    """

    inputs: pd.DataFrame
    labels: pd.DataFrame
    source: str
    sha256: str
    receipts: tuple[int, ...] = ()
    rejected: int = 0
    divided_by: str | None = None
    keys: NDArray[np.str_] | None = None

    @property
    def target(self) -> NDArray[np.bool_]:
        """Whether each row is a failure, shape ``(n,)``."""
        return self.labels.iloc[:, 0].to_numpy(dtype=bool)


def _known_modes(frame: pl.DataFrame, spec: MachineSpec) -> list[str]:
    """Return the failure modes of which it is known for every failure whether it was one."""
    failures = frame.filter(pl.col(spec.target.name))
    names = [mode.name for mode in spec.modes]
    return [n for n in names if n in frame.columns and not failures[n].null_count()]


def dataset_from_frame(
    frame: pl.DataFrame,
    spec: MachineSpec,
    source: str,
    *,
    receipts: tuple[int, ...] = (),
    rejected: int = 0,
) -> Dataset:
    """Make a dataset of clean rows.

    Raises
    ------
    DataError
        If the target is missing or has too few failures to learn from.
    """
    if spec.target.name not in frame.columns:
        raise DataError(f"{source} has no column {spec.target.name}: there is nothing to learn")
    failures = int(frame[spec.target.name].sum())
    if not _FEWEST_FAILURES <= failures < len(frame):
        raise DataError(
            f"{source} has {failures} failures in {len(frame)} rows; at least {_FEWEST_FAILURES} "
            "failures, and rows without one, are needed"
        )
    labels = [spec.target.name, *_known_modes(frame, spec)]
    used = frame.select(
        *spec.input_names,
        # A row that is no failure is none of any mode.
        *(pl.col(name).fill_null(value=False) for name in labels),
    )
    division = spec.division
    if division is not None and frame.get_column(division.column, default=None) is None:
        raise DataError(f"{source} has no column {division.column}, by which the spec divides rows")
    return Dataset(
        pd.DataFrame({name: used[name].to_numpy() for name in spec.input_names}),
        pd.DataFrame({name: used[name].to_numpy() for name in labels}),
        source,
        hashlib.sha256(used.write_csv().encode()).hexdigest(),
        receipts,
        rejected,
        None if division is None else division.by,
        None if division is None else frame[division.column].fill_null("").to_numpy(),
    )


def read_labelled_csv(path: Path, spec: MachineSpec) -> Dataset:
    """Read a CSV file of labelled readings through the checks of the intake.

    Raises
    ------
    DataError
        If the file cannot be read or has nothing to learn from.
    UnreadableFileError
        If the file is not one of readings.
    """
    try:
        with path.open("rb") as file:
            checked = check_file(file, spec, suffix=suffix_of(path.name) or ".csv")
    except OSError as err:
        raise DataError(f"{path} cannot be read: {err.strerror}") from err
    if checked.fault is not None:
        raise checked.fault
    return dataset_from_frame(checked.accepted, spec, path.name, rejected=len(checked.rejected))


def generate_dataset(spec: MachineSpec, rows: int = _GENERATED_ROWS, *, seed: int = 0) -> Dataset:
    """Generate labelled readings from the spec's recipe."""
    frame = pl.concat(simulate(spec, rows, seed=seed))
    return dataset_from_frame(frame, spec, f"{rows} generated rows (seed {seed})")


def _refuse_blocked(intake: Intake) -> None:
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


def _read_curated(intake: Intake, key: str, receipt_id: int) -> pl.DataFrame:
    read = intake.store.read(intake.prefixes.curated_bucket, key)
    if read is None:
        raise DataError(
            f"{key} of receipt {receipt_id} is gone from {intake.prefixes.curated_bucket}; "
            "make it again with: presagio ingest verify --mend"
        )
    return pl.read_parquet(io.BytesIO(read[0]))


def read_curated(intake: Intake) -> Dataset:
    """Read the labelled rows of the curated data set, oldest first.

    The ledger says which objects belong to it. Rows that came twice are taken once: the same row
    in training and test part would flatter the figures.

    Raises
    ------
    DataError
        If there is no labelled row, an object is gone, or a file that was refused whole has not
        been released.
    """
    _refuse_blocked(intake)
    spec, frames, receipts = intake.spec, [], []
    filed = intake.ledger.receipts(bucket=intake.prefixes.bucket, verdict="processed", limit=None)
    for receipt in reversed(filed):
        if receipt.outcome.rows_processed and not receipt.outcome.curated_keys:
            raise DataError(
                f"receipt {receipt.id} is older than the curated data set; take its rows in with: "
                "presagio ingest verify --mend"
            )
        parts = [_read_curated(intake, key, receipt.id) for key in receipt.outcome.curated_keys]
        labelled = [part.filter(pl.col(spec.target.name).is_not_null()) for part in parts]
        if any(map(len, labelled)):
            frames += labelled
            receipts.append(receipt.id)
    if not receipts:
        raise DataError(
            f"no row in {intake.prefixes.curated_bucket}/{intake.prefixes.curated} has "
            f"{spec.target.name}; upload a labelled file with: presagio ingest FILE"
        )
    everything = pl.concat(frames)
    once = everything.unique([*spec.input_names, *spec.label_names], maintain_order=True)
    source = f"the curated rows of {len(receipts)} file{'s' if len(receipts) > 1 else ''}"
    if doubled := len(everything) - len(once):
        source += f", without {doubled} rows that came twice"
    return dataset_from_frame(once, spec, source, receipts=tuple(receipts))


def real_data_file(settings: Settings) -> Path | None:
    """Return the file of real rows at hand: the named one, else the fetched one."""
    fetched = settings.data_folder / FETCHED_FILE
    return settings.ai4i_csv or (fetched if fetched.exists() else None)


def default_dataset(settings: Settings, spec: MachineSpec) -> Dataset:
    """Take the data at hand: ``PRESAGIO_AI4I_CSV``, the fetched file, or generated rows."""
    real = real_data_file(settings)
    if real is not None:
        return read_labelled_csv(real, spec)
    made = generate_dataset(spec)
    return replace(made, source=f"{made.source}, since no real data are at hand")
