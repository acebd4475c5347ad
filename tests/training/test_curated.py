from pathlib import Path

import polars as pl
import pytest

from presagio.errors import DataError
from presagio.ingest.filing import Intake, file_object
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.storage.ledger import Receipt
from presagio.training.curated import read_curated

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


def _file_rows(intake: Intake, name: str, body: bytes) -> Receipt:
    intake.store.write(intake.prefixes.bucket, f"incoming/{name}", body)
    receipt = file_object(intake, f"incoming/{name}")
    assert receipt is not None
    return receipt


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


def test_no_processed_file_says_what_to_do(intake: Intake) -> None:
    with pytest.raises(DataError, match="presagio ingest FILE"):
        read_curated(intake)


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
