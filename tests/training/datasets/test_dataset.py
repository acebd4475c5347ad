from pathlib import Path

import numpy as np
import polars as pl
import pytest

from presagio.errors import DataError
from presagio.inference.imputation import input_columns
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.datasets.sources import default_dataset, generate_dataset, read_labelled_csv


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def _write(path: Path, spec: MachineSpec, rows: int, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.concat(simulate(spec, rows, seed=seed)).write_csv(path)
    return path


def test_the_real_rows_are_read(spec: MachineSpec, real_csv: Path) -> None:
    dataset = read_labelled_csv(real_csv, spec)
    assert (len(dataset.target), int(dataset.target.sum()), dataset.rejected) == (8000, 271, 0)
    assert dataset.inputs.shape == (8000, len(spec.input_names))


def test_inputs_are_the_columns_that_the_spec_names_and_never_a_label(spec: MachineSpec) -> None:
    frame = pl.concat(simulate(spec, 2000))
    columns = input_columns(spec, generate_dataset(spec, 2000).inputs)
    assert not set(columns) & set(spec.label_names)
    for name, values in columns.items():
        np.testing.assert_array_equal(values, frame[name].cast(pl.Float64))


def test_the_digest_is_that_of_the_rows(spec: MachineSpec, tmp_path: Path) -> None:
    first = read_labelled_csv(_write(tmp_path / "a.csv", spec, 2000), spec)
    second = generate_dataset(spec, 2000)
    other = generate_dataset(spec, 2000, seed=1)
    assert first.sha256 == second.sha256 != other.sha256


def test_named_data_come_before_fetched_before_generated(
    settings: Settings, spec: MachineSpec, tmp_path: Path
) -> None:
    assert "generated" in default_dataset(settings, spec).source
    _write(settings.data_folder / "ai4i2020.csv", spec, 2000)
    assert default_dataset(settings, spec).source == "ai4i2020.csv"
    named = settings.model_copy(update={"ai4i_csv": _write(tmp_path / "named.csv", spec, 2000)})
    assert default_dataset(named, spec).source == "named.csv"


def test_a_file_without_target_is_refused(spec: MachineSpec) -> None:
    frame = pl.concat(simulate(spec, 2000)).drop("machine_failure")
    with pytest.raises(DataError, match="no column machine_failure"):
        dataset_from_frame(frame, spec, "this file")


def test_too_few_failures_are_refused(spec: MachineSpec) -> None:
    with pytest.raises(DataError, match="at least 20"):
        generate_dataset(spec, 100)


def test_a_missing_file_is_refused(spec: MachineSpec, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_labelled_csv(tmp_path / "nothing.csv", spec)


def test_modes_are_labels_where_each_failure_has_its_own(spec: MachineSpec) -> None:
    frame = pl.concat(simulate(spec, 2000))
    assert list(dataset_from_frame(frame, spec, "x").labels) == list(spec.label_names)
    healthy = ~pl.col("machine_failure")
    sure = pl.when(healthy).then(None).otherwise("hdf").alias("hdf")
    labels = dataset_from_frame(frame.with_columns(sure), spec, "x").labels
    assert labels["hdf"].sum() == frame.filter(~healthy)["hdf"].sum()
    unsure = pl.when(healthy).then("hdf").alias("hdf")
    assert "hdf" not in dataset_from_frame(frame.with_columns(unsure), spec, "x").labels


def test_a_few_failures_of_unknown_mode_count_for_the_limit_that_they_are_beyond(
    spec: MachineSpec,
) -> None:
    frame = pl.concat(simulate(spec, 4000))
    known = dataset_from_frame(frame, spec, "x")
    failed = frame.with_row_index().filter("machine_failure")["index"].to_list()[:3]
    gaps = pl.int_range(pl.len()).is_in(failed)
    modes = [mode.name for mode in spec.modes]
    told = frame.with_columns(
        pl.when(gaps).then(None).otherwise(name).alias(name) for name in modes
    )
    labels = dataset_from_frame(told, spec, "x").labels
    assert list(labels) == list(known.labels)
    for name in ("hdf", "pwf", "osf"):
        assert (labels[name] == known.labels[name]).all()
