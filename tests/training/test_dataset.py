from pathlib import Path

import polars as pl
import pytest

from presagio.errors import DataError
from presagio.ingest.filing import Intake, file_object
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from presagio.storage.ledger import Receipt
from presagio.training.dataset import (
    dataset_from_frame,
    default_dataset,
    generate_dataset,
    read_curated,
    read_labelled_csv,
)


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
    assert tuple(dataset.inputs.columns) == spec.input_names


def test_labels_are_never_inputs(spec: MachineSpec) -> None:
    assert not set(generate_dataset(spec, 2000).inputs.columns) & set(spec.label_names)


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


@pytest.mark.integration
def test_processed_files_come_with_their_receipts(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    ids = []
    for seed in (0, 1):
        body = _write(tmp_path / "x.csv", spec, 1500, seed).read_bytes()
        intake.store.write(intake.prefixes.bucket, f"incoming/{seed}.csv", body)
        receipt = file_object(intake, f"incoming/{seed}.csv")
        assert receipt is not None
        ids.append(receipt.id)
    intake.store.write(intake.prefixes.bucket, "incoming/unlabelled.csv", _unlabelled(spec))
    file_object(intake, "incoming/unlabelled.csv")
    dataset = read_curated(intake)
    assert dataset.receipts == tuple(ids)
    assert len(dataset.target) == 3000


def _file_rows(intake: Intake, name: str, body: bytes) -> Receipt:
    intake.store.write(intake.prefixes.bucket, f"incoming/{name}", body)
    receipt = file_object(intake, f"incoming/{name}")
    assert receipt is not None
    return receipt


@pytest.mark.integration
def test_rows_that_came_twice_are_learned_once(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    body = _write(tmp_path / "x.csv", spec, 1500).read_bytes()
    for name in ("a.csv", "copy.csv"):
        _file_rows(intake, name, body)
    _file_rows(intake, "other.csv", body.rstrip(b"\n"))
    dataset = read_curated(intake)
    assert len(dataset.target) == 1500
    assert "1500 rows that came twice" in dataset.source


@pytest.mark.integration
def test_no_processed_file_says_what_to_do(intake: Intake) -> None:
    with pytest.raises(DataError, match="presagio ingest FILE"):
        read_curated(intake)


@pytest.mark.integration
def test_a_curated_file_that_is_gone_is_named(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    receipt = _file_rows(intake, "x.csv", _write(tmp_path / "x.csv", spec, 1500).read_bytes())
    (key,) = receipt.outcome.curated_keys
    stored = intake.store.head(intake.prefixes.bucket, key)
    assert stored is not None
    intake.store.delete_unchanged(intake.prefixes.bucket, stored)
    with pytest.raises(
        DataError, match=rf"part-0\.parquet of receipt {receipt.id} .* verify --mend"
    ):
        read_curated(intake)


@pytest.mark.integration
def test_a_file_that_was_refused_for_its_rows_blocks_training_until_released(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    good = _write(tmp_path / "x.csv", spec, 1500).read_bytes()
    _file_rows(intake, "good.csv", good)
    bad = _file_rows(intake, "bad.csv", good.replace(b".", b",", 9000))
    assert bad.outcome.verdict == "quarantined"
    with pytest.raises(DataError, match=rf"receipt {bad.id} \(incoming/bad\.csv\).*ingest release"):
        read_curated(intake)
    intake.ledger.release(bad.id, who="test", why="known")
    assert len(read_curated(intake).target) == 1500


def _unlabelled(spec: MachineSpec) -> bytes:
    return pl.concat(simulate(spec, 10)).select(spec.input_names).write_csv().encode()
