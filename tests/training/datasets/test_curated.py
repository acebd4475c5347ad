from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from presagio.errors import DataError
from presagio.ingest.filing import Intake, file_object
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.curated import read_curated
from tests.engines import engine_rows, engines
from tests.filing import file_body

pytestmark = pytest.mark.integration


def _write(path: Path, spec: MachineSpec, rows: int, seed: int = 0) -> Path:
    pl.concat(simulate(spec, rows, seed=seed)).write_csv(path)
    return path


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


def test_rows_that_came_twice_are_learned_once(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    body = _write(tmp_path / "x.csv", spec, 1500).read_bytes()
    for name in ("a.csv", "copy.csv"):
        file_body(intake, name, body)
    file_body(intake, "other.csv", body.rstrip(b"\n"))
    dataset = read_curated(intake)
    assert len(dataset.target) == 1500
    assert "1500 rows that came twice" in dataset.source


def test_the_same_reading_of_another_unit_is_another_row(intake: Intake, spec: MachineSpec) -> None:
    rows = pl.concat(simulate(spec, 1500))
    for unit in ("M1", "M2"):
        named = rows.with_columns(pl.lit(unit).alias("product_id"))
        file_body(intake, f"{unit}.csv", named.write_csv().encode())
    # The first unit's rows once more, in a file with other bytes: these came twice.
    again = rows.with_columns(pl.lit("M1").alias("product_id")).write_csv().encode()
    file_body(intake, "again.csv", again.rstrip(b"\n"))
    dataset = read_curated(intake)
    assert len(dataset.target) == 3000
    assert "1500 rows that came twice" in dataset.source


def test_repeats_within_a_file_are_genuine(intake: Intake, spec: MachineSpec) -> None:
    # The spec says what the intake does with them: it keeps them.
    assert spec.duplicates == "keep"
    rows = pl.concat(simulate(spec, 1500))
    file_body(intake, "steady.csv", pl.concat([rows, rows]).write_csv().encode())
    file_body(intake, "part.csv", rows.write_csv().encode())
    dataset = read_curated(intake)
    assert len(dataset.target) == 3000
    assert "1500 rows that came twice" in dataset.source


def test_no_processed_file_says_what_to_do(intake: Intake) -> None:
    with pytest.raises(DataError, match="presagio ingest FILE"):
        read_curated(intake)


def test_a_curated_file_that_is_gone_is_named(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    receipt = file_body(intake, "x.csv", _write(tmp_path / "x.csv", spec, 1500).read_bytes())
    (key,) = receipt.outcome.curated_keys
    stored = intake.store.head(intake.prefixes.bucket, key)
    assert stored is not None
    intake.store.delete_unchanged(intake.prefixes.bucket, stored)
    with pytest.raises(
        DataError, match=rf"part-0\.parquet of receipt {receipt.id} .* verify --repair"
    ):
        read_curated(intake)


def test_a_file_that_was_refused_for_its_rows_blocks_training_until_released(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    good = _write(tmp_path / "x.csv", spec, 1500).read_bytes()
    file_body(intake, "good.csv", good)
    bad = file_body(intake, "bad.csv", good.replace(b".", b",", 9000))
    assert bad.outcome.verdict == "quarantined"
    with pytest.raises(DataError, match=rf"receipt {bad.id} \(incoming/bad\.csv\).*ingest release"):
        read_curated(intake)
    intake.ledger.release(bad.id, who="test", why="known")
    assert len(read_curated(intake).target) == 1500


def _unlabelled(spec: MachineSpec) -> bytes:
    return pl.concat(simulate(spec, 10)).select(spec.input_names).write_csv().encode()


def test_base_rows_come_first_and_are_taken_once_too(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    base = pl.concat(simulate(spec, 1500, seed=1))
    file_body(intake, "same.csv", _write(tmp_path / "x.csv", spec, 1500, 1).read_bytes())
    receipt = file_body(intake, "new.csv", _write(tmp_path / "y.csv", spec, 1500, 2).read_bytes())
    dataset = read_curated(intake, (base, "the base rows"))
    assert len(dataset.target) == 3000
    assert dataset.receipts[-1] == receipt.id
    assert dataset.source == (
        "the base rows and the curated rows of 2 files, without 1500 rows that came twice"
    )
    wanted = base.select(spec.input_names).cast(pl.Float64).to_numpy()
    assert (dataset.inputs[:1500] == wanted).all()


def test_small_files_are_put_together_and_many_rows_go_through_in_batches(
    intake: Intake, spec: MachineSpec, tmp_path: Path
) -> None:
    for seed in range(4):
        body = _write(tmp_path / "x.csv", spec, 700, seed).read_bytes()
        file_body(intake, f"{seed}.csv", body)
    whole = read_curated(intake)
    assert read_curated(intake, batch_rows=1000).sha256 == whole.sha256
    assert len(whole.target) == 2800


def test_a_sensor_that_comes_later_leaves_earlier_rows_of_use(
    intake: Intake, spec: MachineSpec
) -> None:
    file_body(intake, "before.csv", pl.concat(simulate(spec, 1500)).write_csv().encode())
    said = spec.model_dump()
    later = {"name": "oil_pressure", "unit": "bar", "range": (0.0, 10.0)}
    optional = {**said, "features": (*said["features"], later | {"missing": "median"})}
    grown = replace(intake, spec=MachineSpec.model_validate(optional))
    rows = pl.concat(simulate(spec, 1500, seed=1)).with_columns(oil_pressure=pl.lit(3.0))
    receipt = file_body(grown, "after.csv", rows.write_csv().encode())
    assert receipt.outcome.notes["spec_sha256"] == grown.spec.digest != spec.digest
    dataset = read_curated(grown)
    place = grown.spec.input_names.index("oil_pressure")
    assert np.isnan(dataset.inputs[:, place]).tolist() == [True] * 1500 + [False] * 1500
    required = {**said, "features": (*said["features"], later)}
    strict = read_curated(replace(intake, spec=MachineSpec.model_validate(required)))
    assert len(strict.target) == 1500
    assert "without 1500 rows that lack an input" in strict.source
    # It went again: what is known of it is kept aside, and everything trains.
    assert len(read_curated(intake).target) == 3000


def test_of_two_readings_of_one_time_the_earlier_file_counts(intake: Intake) -> None:
    engines_intake, rows = replace(intake, spec=engines()), engine_rows(8)
    first = rows.filter(pl.col("unit") != "8")
    file_body(engines_intake, "first.csv", first.write_csv().encode())
    # One unit more, of another the same again, and of a third other values.
    again = rows.filter(pl.col("unit").is_in(["7", "8"]))
    other = rows.filter(pl.col("unit") == "1").with_columns(sensor_2=pl.lit(7.0))
    file_body(engines_intake, "second.csv", pl.concat([again, other]).write_csv().encode())
    dataset = read_curated(engines_intake)
    assert dataset.series is not None
    assert len(dataset.target) == len(rows)
    assert 7.0 not in dataset.inputs[:, 0]
    repeated, contradicting = len(rows.filter(pl.col("unit") == "7")), len(other)
    assert f"{repeated} rows that came twice" in dataset.source
    assert f"{contradicting} readings of a time that an earlier file has too" in dataset.source
