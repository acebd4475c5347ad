"""Labelled readings to train on, and where they come from."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from presagio.errors import DataError
from presagio.ingest.checking import check_rows
from presagio.ingest.decoding import decode_csv
from presagio.ingest.filing import Intake
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
    target
        Shape ``(n,)``: whether the row is a failure.
    source
        Where the rows come from, in words.
    sha256
        Digest of inputs and target, whatever file they came in.
    receipts
        Ids of the ledger's receipts that the rows came through.
    rejected
        How many rows of the source failed the checks and are not in here.
    """

    inputs: pd.DataFrame
    target: NDArray[np.bool_]
    source: str
    sha256: str
    receipts: tuple[int, ...] = ()
    rejected: int = 0


@dataclass(frozen=True)
class Split:
    """A dataset's training and test part; nothing is chosen on the test part."""

    train: pd.DataFrame
    train_target: NDArray[np.bool_]
    test: pd.DataFrame
    test_target: NDArray[np.bool_]


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
    used = frame.select(*spec.input_names, spec.target.name)
    digest = hashlib.sha256(used.write_csv().encode()).hexdigest()
    inputs = pd.DataFrame({name: used[name].to_numpy() for name in spec.input_names})
    return Dataset(
        inputs, used[spec.target.name].to_numpy(), source, digest, receipts, rejected
    )  # fmt: skip


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
        body = path.read_bytes()
    except OSError as err:
        raise DataError(f"{path} cannot be read: {err.strerror}") from err
    checked = check_rows(decode_csv(body, spec), spec)
    return dataset_from_frame(checked.accepted, spec, path.name, rejected=len(checked.rejected))


def generate_dataset(spec: MachineSpec, rows: int = _GENERATED_ROWS, *, seed: int = 0) -> Dataset:
    """Generate labelled readings from the spec's recipe."""
    frame = pl.concat(simulate(spec, rows, seed=seed))
    return dataset_from_frame(frame, spec, f"{rows} generated rows (seed {seed})")


def read_processed(intake: Intake) -> Dataset:
    """Read what the intake has filed below the processed prefix, oldest first.

    Only files with the target are read. Rows that came twice are taken once: the same row in
    training and test part would flatter the figures.

    Raises
    ------
    DataError
        If there is no labelled file, or a filed object is gone.
    """
    spec, frames, receipts = intake.spec, [], []
    filed = [
        receipt
        for receipt in intake.ledger.receipts(bucket=intake.prefixes.bucket, limit=None)
        if receipt.outcome.processed_key
    ]
    for receipt in reversed(filed):
        key = receipt.outcome.processed_key or ""
        read = intake.store.read(intake.prefixes.bucket, key)
        if read is None:
            raise DataError(f"{key} of receipt {receipt.id} is gone from {intake.prefixes.bucket}")
        frame = check_rows(decode_csv(read[0], spec), spec).accepted
        if spec.target.name in frame.columns:
            frames.append(frame.select(*spec.input_names, spec.target.name))
            receipts.append(receipt.id)
    if not frames:
        raise DataError(
            f"no file below {intake.prefixes.processed} has {spec.target.name}; "
            "upload a labelled one with: presagio ingest FILE"
        )
    everything = pl.concat(frames)
    once = everything.unique(maintain_order=True)
    source = f"{len(frames)} processed file{'s' if len(frames) > 1 else ''}"
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


def split_dataset(dataset: Dataset, *, test_share: float = 0.2, seed: int = 0) -> Split:
    """Split a dataset into training and test part, stratified by the target."""
    train, test, train_target, test_target = train_test_split(
        dataset.inputs,
        dataset.target,
        test_size=test_share,
        stratify=dataset.target,
        random_state=seed,
    )
    return Split(train, train_target, test, test_target)
