"""Where labelled readings come from: a CSV file, the fetched data set, the generator."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from presagio.errors import DataError, NoDataError
from presagio.ingest.checking import CheckedFile, check_file, suffix_of
from presagio.ingest.events import events_of
from presagio.machine.event_log import event_log
from presagio.machine.simulation import simulate
from presagio.machine.spec import DEFAULT_SPEC, MachineSpec
from presagio.sentences import Number, Sentence, Value
from presagio.settings import Settings
from presagio.training.datasets.builder import DatasetBuilder, dataset_from_frame
from presagio.training.datasets.dataset import Dataset

FETCHED_FILE = "ai4i2020.csv"
_GENERATED_ROWS = 10_000


def _checked_csv(path: Path, spec: MachineSpec) -> CheckedFile:
    try:
        with path.open("rb") as file:
            checked = check_file(file, spec, suffix=suffix_of(path.name) or ".csv")
    except OSError as err:
        raise DataError(f"{path} cannot be read: {err.strerror}") from err
    if checked.fault is not None:
        raise checked.fault
    return checked


def read_labelled_csv(path: Path, spec: MachineSpec, *, events: Path | None = None) -> Dataset:
    """Read a CSV file of labelled readings through the checks of the intake.

    Parameters
    ----------
    path
        The file.
    spec
        The machine spec.
    events
        A log of failures and repairs beside it.

    Raises
    ------
    DataError
        If the file cannot be read or has nothing to learn from.
    UnreadableFileError
        If the file is not one of readings.
    """
    checked, logged = _checked_csv(path, spec), None
    if events is not None:
        if not spec.is_series:
            raise DataError(f"{spec.name} has no [unit] and [time], so {events} says nothing of it")
        logged = events_of(spec, [(0, _checked_csv(events, event_log(spec)).accepted)])
    dataset = dataset_from_frame(
        checked.accepted, spec, path.name, rejected=len(checked.rejected), events=logged
    )
    return replace(dataset, address=path.resolve().as_uri())


def generate_dataset(spec: MachineSpec, rows: int = _GENERATED_ROWS, *, seed: int = 0) -> Dataset:
    """Generate labelled readings from the spec's recipe."""
    builder = DatasetBuilder(spec)
    for block in simulate(spec, rows, seed=seed):
        builder.add(block)
    origin = _generated(rows, seed)
    return replace(builder.finish(str(origin)), origin=origin)


def _generated(rows: int, seed: int) -> Sentence:
    return Sentence(
        "%(rows)s generated rows (seed %(seed)s)", {"rows": Number(rows, 0), "seed": str(seed)}
    )


def real_data_file(settings: Settings, spec: MachineSpec) -> Path | None:
    """Return the file of real rows at hand: the named one, else the fetched one.

    Both are the AI4I 2020 data set, so there is none for another machine.
    """
    if spec.name != DEFAULT_SPEC:
        return None
    fetched = settings.data_folder / FETCHED_FILE
    return settings.ai4i_csv or (fetched if fetched.exists() else None)


def default_dataset(settings: Settings, spec: MachineSpec) -> Dataset:
    """Take the data at hand: ``PRESAGIO_AI4I_CSV``, the fetched file, or generated rows.

    Raises
    ------
    NoDataError
        If there are none, and the machine spec does not say how to generate some.
    """
    real = real_data_file(settings, spec)
    if real is not None:
        return read_labelled_csv(real, spec)
    if spec.simulation is None:
        raise NoDataError(
            f"there are no labelled readings of {spec.name} at hand; name a file: "
            "presagio train --csv FILE"
        )
    made = generate_dataset(spec)
    origin = Sentence(
        "%(source)s, since no real data are at hand", {"source": made.origin or made.source}
    )
    return replace(made, source=str(origin), origin=origin)


def base_rows(settings: Settings, spec: MachineSpec) -> tuple[pl.DataFrame, Value] | None:
    """Return the labelled rows that every retraining learns from, and where they come from.

    They are those that a first champion is trained on: :func:`default_dataset`. None where there
    are none at hand.

    Raises
    ------
    DataError, UnreadableFileError
        If the named file cannot be read.
    """
    real = real_data_file(settings, spec)
    if real is not None:
        return _checked_csv(real, spec).accepted, real.name
    if spec.simulation is None:
        return None
    made = pl.concat(simulate(spec, _GENERATED_ROWS))
    return made, _generated(_GENERATED_ROWS, 0)
