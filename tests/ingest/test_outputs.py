from pathlib import Path

import polars as pl
import pytest

from presagio.ingest import outputs
from presagio.ingest.checking import FileRows
from presagio.ingest.outputs import OutputWriter, Written, curated_schema
from presagio.machine.spec import MachineSpec
from tests.engines import engine_rows, engines
from tests.ingest.intake_state import BODY


def _write(folder: Path, spec: MachineSpec, body: bytes, **limits: int) -> Written:
    path = folder / "source"
    path.write_bytes(body)
    writer = OutputWriter(folder, 7, spec, **limits)
    with path.open("rb") as file:
        for chunk in FileRows(file, ".csv", spec):
            writer.add(chunk)
            writer.add(chunk)
    return writer.finish()


def test_curated_files_have_the_same_columns_whatever_the_file_had(
    spec: MachineSpec, tmp_path: Path
) -> None:
    (part,) = _write(tmp_path, spec, BODY).curated
    frame = pl.read_parquet(part)
    assert frame.schema == curated_schema(spec)
    assert set(frame["receipt_id"]) == {7}
    assert frame["machine_failure"].null_count() == len(frame) == 16


def test_a_large_file_is_curated_in_parts(spec: MachineSpec, tmp_path: Path) -> None:
    parts = _write(tmp_path, spec, BODY, part_rows=5).curated
    assert [len(pl.read_parquet(part)) for part in parts] == [8, 8]


def test_long_rows_are_curated_in_parts(spec: MachineSpec, tmp_path: Path) -> None:
    assert len(_write(tmp_path, spec, BODY).curated) == 1
    parts = _write(tmp_path, spec, BODY, part_bytes=10).curated
    assert [len(pl.read_parquet(part)) for part in parts] == [8, 8]


def test_the_same_rows_give_the_same_bytes(spec: MachineSpec, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (_write(tmp_path / name, spec, BODY) for name in ("a", "b"))
    for first, second in (
        (one.clean, two.clean), (one.rejected, two.rejected), (one.curated[0], two.curated[0]),
    ):  # fmt: skip
        assert first.read_bytes() == second.read_bytes()


def test_readings_of_units_lie_unit_by_unit_in_parts_that_say_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = engine_rows(3).filter(pl.col("cycle") <= 20).sort("cycle", descending=True)
    body = rows.write_csv().encode()
    monkeypatch.setattr(outputs, "UNIT_PART_ROWS", 50)
    written = _write(tmp_path, engines(), body)
    parts = [pl.read_parquet(part) for part in written.curated]
    assert [len(part) for part in parts] == [50, 50, 20]
    assert pl.concat(parts)["unit"].is_sorted()
    spans = written.spans
    assert list(zip(spans.units, spans.parts, spans.oldest, spans.newest, strict=True)) == [
        ("1", 0, 1.0, 20.0), ("2", 0, 1.0, 5.0), ("2", 1, 6.0, 20.0), ("3", 1, 1.0, 10.0),
        ("3", 2, 11.0, 20.0),
    ]  # fmt: skip
    monkeypatch.setattr(outputs, "_LISTED_UNITS", 1)
    assert _write(tmp_path, engines(), body).spans.units == ["", "", "3"]
