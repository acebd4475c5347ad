"""Labelled readings to train on, and where they come from."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.ingest.checking import CheckedFile, check_file, suffix_of
from presagio.machine.limits import failing_modes
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from presagio.training.datasets.mapped import MappedRows

Bools = NDArray[np.bool_]

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
        Digest of inputs and labels, whatever file they came in.
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


class DatasetBuilder:
    """Makes a dataset of clean rows, batch by batch; readings go to disk, labels stay in memory.

    Parameters
    ----------
    spec
        The machine spec.
    """

    def __init__(self, spec: MachineSpec) -> None:
        self._spec = spec
        self._inputs = MappedRows(spec.input_names)
        self._digest = hashlib.sha256()
        self._target: list[Bools] = []
        self._modes: list[dict[str, Bools]] = []
        self._unknown: Counter[str] = Counter()
        self._keys: list[NDArray[np.str_]] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Add labelled rows; a row without target is a mistake of the caller's.

        Raises
        ------
        DataError
            If the column that the spec divides rows by is not there.
        """
        spec = self._spec
        rows = frame.select(pl.col(name).cast(pl.Float64) for name in spec.input_names).to_numpy()
        target = frame[spec.target.name].to_numpy().astype(bool)
        self._inputs.add(rows)
        self._digest.update(np.ascontiguousarray(rows).tobytes())
        self._target.append(target)
        self._modes.append(self._known_modes(frame, target))
        if spec.division is not None:
            if frame.get_column(spec.division.column, default=None) is None:
                raise DataError(f"no column {spec.division.column}, by which the spec divides rows")
            self._keys.append(frame[spec.division.column].fill_null("").to_numpy())

    def _known_modes(self, frame: pl.DataFrame, target: Bools) -> dict[str, Bools]:
        """Return each mode's rows, without gaps.

        A row that is no failure is none of any mode; a failure of which nobody said which, as in
        some outcomes that are sent back, is of the mode whose operating limit it is beyond.
        """
        values = {n: frame[n].cast(pl.Float64).to_numpy() for n in self._spec.input_names}
        beyond, found = failing_modes(self._spec, values), dict[str, Bools]()
        for mode in self._spec.modes:
            said = frame.get_column(mode.name, default=None)
            unknown = np.ones(len(frame), bool) if said is None else said.is_null().to_numpy()
            self._unknown[mode.name] += int((unknown & target).sum())
            none = np.zeros(len(frame), dtype=bool)
            known = none if said is None else said.fill_null(value=False).to_numpy()
            found[mode.name] = np.where(unknown, target & beyond.get(mode.name, none), known)
        return found

    def finish(self, source: str, *, receipts: tuple[int, ...] = (), rejected: int = 0) -> Dataset:
        """Return the dataset.

        Parameters
        ----------
        source, receipts, rejected
            As of :class:`Dataset`.

        Raises
        ------
        DataError
            If there are too few failures to learn from.
        """
        target = np.concatenate(self._target) if self._target else np.zeros(0, dtype=bool)
        failures = int(target.sum())
        if not _FEWEST_FAILURES <= failures < len(target):
            raise DataError(
                f"{source} has {failures} failures in {len(target)} rows; at least "
                f"{_FEWEST_FAILURES} failures, and rows without one, are needed"
            )
        # Learned are the modes of which it is known for nearly every failure whether it was one.
        learned = [m.name for m in self._spec.modes
                   if self._unknown[m.name] <= _UNKNOWN_MODES * failures]  # fmt: skip
        labels = {self._spec.target.name: target}
        for name in learned:
            labels[name] = np.concatenate([own[name] for own in self._modes])
        # Labels last: the same rows in other batches are the same data.
        for name, values in labels.items():
            self._digest.update(name.encode() + values.tobytes())
        division = self._spec.division
        return Dataset(
            self._inputs.frame(),
            pd.DataFrame(labels),
            source,
            self._digest.hexdigest(),
            receipts,
            rejected,
            None if division is None else division.by,
            None if division is None else np.concatenate(self._keys),
        )


def dataset_from_frame(
    frame: pl.DataFrame, spec: MachineSpec, source: str, *, rejected: int = 0
) -> Dataset:
    """Make a dataset of clean rows.

    Raises
    ------
    DataError
        If the target is missing or has too few failures to learn from.
    """
    if spec.target.name not in frame.columns:
        raise DataError(f"{source} has no column {spec.target.name}: there is nothing to learn")
    builder = DatasetBuilder(spec)
    builder.add(frame)
    return builder.finish(source, rejected=rejected)


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
    builder = DatasetBuilder(spec)
    for block in simulate(spec, rows, seed=seed):
        builder.add(block)
    return builder.finish(_generated(rows, seed))


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
