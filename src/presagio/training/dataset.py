"""Labelled readings to train on, and where they come from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.ingest.reading import CheckedFile, check_file, suffix_of
from presagio.machine.limits import failing_modes
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings

FETCHED_FILE = "ai4i2020.csv"
_GENERATED_ROWS = 10_000
_FEWEST_FAILURES = 20
# Of failures whose mode nobody knows, the largest share with which modes can still be learned.
_UNKNOWN_MODES = 0.1


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
    """Return the failure modes of which it is known for nearly every failure whether it was one."""
    failures = frame.filter(pl.col(spec.target.name))
    names = [mode.name for mode in spec.modes if mode.name in frame.columns]
    return [n for n in names if failures[n].null_count() <= _UNKNOWN_MODES * len(failures)]


def _modes(frame: pl.DataFrame, spec: MachineSpec, names: Sequence[str]) -> pl.DataFrame:
    """Return the failure modes without gaps.

    A row that is no failure is none of any mode; a failure of which nobody said which, as in some
    outcomes that are sent back, is of the mode whose operating limit it is beyond.
    """
    values = {name: frame[name].cast(pl.Float64).to_numpy() for name in spec.input_names}
    beyond = failing_modes(spec, values)
    failed, none = frame[spec.target.name], np.zeros(len(frame), dtype=bool)
    return pl.DataFrame(
        {
            name: pl.select(
                pl.coalesce(frame[name], failed & pl.Series(beyond.get(name, none)))
            ).to_series()
            for name in names
        }
    )


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
    modes = _known_modes(frame, spec)
    labels = [spec.target.name, *modes]
    used = frame.select(*spec.input_names, spec.target.name)
    used = used.hstack(_modes(frame, spec, modes)) if modes else used
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


def _checked_csv(path: Path, spec: MachineSpec) -> CheckedFile:
    try:
        with path.open("rb") as file:
            checked = check_file(file, spec, suffix=suffix_of(path.name) or ".csv")
    except OSError as err:
        raise DataError(f"{path} cannot be read: {err.strerror}") from err
    if checked.fault is not None:
        raise checked.fault
    return checked


def read_labelled_csv(path: Path, spec: MachineSpec) -> Dataset:
    """Read a CSV file of labelled readings through the checks of the intake.

    Raises
    ------
    DataError
        If the file cannot be read or has nothing to learn from.
    UnreadableFileError
        If the file is not one of readings.
    """
    checked = _checked_csv(path, spec)
    return dataset_from_frame(checked.accepted, spec, path.name, rejected=len(checked.rejected))


def generate_dataset(spec: MachineSpec, rows: int = _GENERATED_ROWS, *, seed: int = 0) -> Dataset:
    """Generate labelled readings from the spec's recipe."""
    frame = pl.concat(simulate(spec, rows, seed=seed))
    return dataset_from_frame(frame, spec, _generated(rows, seed))


def _generated(rows: int, seed: int) -> str:
    return f"{rows} generated rows (seed {seed})"


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


def base_rows(settings: Settings, spec: MachineSpec) -> tuple[pl.DataFrame, str]:
    """Return the labelled rows that every retraining learns from, and where they come from.

    They are those that a first champion is trained on: :func:`default_dataset`.

    Raises
    ------
    DataError, UnreadableFileError
        If the named file cannot be read.
    """
    real = real_data_file(settings)
    if real is not None:
        return _checked_csv(real, spec).accepted, real.name
    made = pl.concat(simulate(spec, _GENERATED_ROWS))
    return made, _generated(_GENERATED_ROWS, 0)
