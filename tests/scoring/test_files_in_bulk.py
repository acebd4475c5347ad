"""Files of readings to files of scores: which rows, which columns, and what is done again."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from presagio.errors import DataError
from presagio.inference.predictor import Predictor, load_predictor
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.scoring.frames import score_frame
from presagio.scoring.run import REJECTED, RESULT
from presagio.settings import Settings
from tests.scoring.runs import score_folder


@pytest.fixture(scope="module")
def predictor(artifact: Path) -> Predictor:
    return load_predictor(artifact)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def readings(spec: MachineSpec, rows: int, seed: int = 1) -> pl.DataFrame:
    frame = pl.concat(simulate(spec, max(rows, 1), seed=seed)).head(rows)
    return frame.select(spec.input_names).with_columns(
        pl.int_range(pl.len()).alias("udi"), pl.lit("ñ").alias("note")
    )


def test_each_row_comes_once_with_its_score_and_the_other_columns(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    sent = readings(spec, 120_000)
    (source / "deep").mkdir()
    sent.write_parquet(source / "deep" / "a.parquet", row_group_size=30_000)
    found = score_folder(predictor, source, tmp_path / "out", settings)
    assert (found.files, found.files_scored, found.counts.rows) == (1, 1, 120_000)
    result = pl.read_parquet(tmp_path / "out" / "deep" / f"a.parquet{RESULT}")
    assert result.columns == [
        "row", "udi", "note", "label", "probability", "score", "mode", "version",
    ]  # fmt: skip
    expected = score_frame(predictor, sent)
    # Text of few values comes as codes.
    assert isinstance(result.schema["mode"], pl.Categorical)
    assert isinstance(result.schema["version"], pl.Categorical)
    scored = result.select("label", "probability", "score", pl.col("mode").cast(pl.String))
    assert_frame_equal(scored, expected, abs_tol=1e-9)
    assert result["row"].to_list() == result["udi"].to_list() == [*range(120_000)]
    assert result.schema["udi"] == pl.Int64
    assert found.counts.alarms == expected["label"].sum()
    assert result["version"].unique().to_list() == ["7"]


def test_csv_and_parquet_are_scored_alike(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    sent = readings(spec, 500)
    sent.write_parquet(source / "a.parquet")
    sent.write_csv(source / "a.csv")
    score_folder(predictor, source, tmp_path / "out", settings)
    one, other = (
        pl.read_parquet(tmp_path / "out" / f"a.{form}{RESULT}") for form in ("parquet", "csv")
    )
    assert_frame_equal(one.drop("udi"), other.drop("udi"))


def test_rows_that_cannot_be_scored_are_kept_with_their_reason(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    sent = readings(spec, 60_000)
    bad = pl.int_range(pl.len()).is_in([0, 59_999])
    name = spec.feature_names[0]
    sent = sent.with_columns(pl.when(bad).then(1e9).otherwise(pl.col(name)).alias(name))
    sent.write_parquet(source / "a.parquet")
    found = score_folder(predictor, source, tmp_path / "out", settings)
    assert (found.counts.rows, found.counts.scored, found.counts.rejected) == (60_000, 59_998, 2)
    assert found.counts.reasons == {"out_of_range": 2}
    rejected = pl.read_parquet(tmp_path / "out" / f"a.parquet{REJECTED}")
    assert rejected.columns == ["row", *sent.columns, "fault", "reason"]
    assert rejected["row"].to_list() == [0, 59_999]
    assert rejected[name].to_list() == [1e9, 1e9]
    result = pl.read_parquet(tmp_path / "out" / f"a.parquet{RESULT}")
    assert result["row"].to_list() == [*range(1, 59_999)]
    # Repaired, it has none, and the file of rejected rows is gone.
    readings(spec, 10).write_parquet(source / "a.parquet")
    score_folder(predictor, source, tmp_path / "out", settings)
    assert not (tmp_path / "out" / f"a.parquet{REJECTED}").exists()


def test_a_file_that_cannot_be_read_stops_no_other(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    readings(spec, 10).write_parquet(source / "good.parquet")
    readings(spec, 0).write_csv(source / "empty.csv")
    (source / "broken.parquet").write_bytes(b"PAR1" + b"\0" * 100 + b"PAR1")
    (source / "nothing.csv").write_bytes(b"")
    (source / "other.csv").write_text("a,b\n1,2\n")
    (source / "read.me").write_text("no readings")
    found = score_folder(predictor, source, tmp_path / "out", settings)
    assert (found.files, found.files_scored, found.files_failed, found.others) == (5, 2, 3, 1)
    assert {*found.faults} == {"broken.parquet", "nothing.csv", "other.csv"}
    assert "is missing" in found.faults["other.csv"]
    assert {path.name for path in (tmp_path / "out").glob("*.parquet")} == {
        f"good.parquet{RESULT}", f"empty.csv{RESULT}",
    }  # fmt: skip
    assert pl.read_parquet(tmp_path / "out" / f"empty.csv{RESULT}").height == 0
    assert not [*(tmp_path / "out" / "_presagio" / "aside").iterdir()]


def test_a_file_that_unpacks_to_too_much_is_left(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    readings(spec, 1).sample(200_000, with_replacement=True).write_parquet(source / "bomb.parquet")
    found = score_folder(predictor, source, tmp_path / "out", settings, most_bytes=1 << 20)
    assert "unpacks to more" in found.faults["bomb.parquet"]


def test_what_is_done_is_left_out_when_a_run_resumes(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def run(version: str = "7") -> tuple[int, int, int]:
        found = score_folder(predictor, source, out, settings, version=version, resume=True)
        return found.files_scored, found.files_skipped, found.counts.rows

    for name in "abc":
        readings(spec, 10).write_parquet(source / f"{name}.parquet")
    assert run() == (3, 0, 30)
    assert run() == (0, 3, 30)
    # Another version, other bytes, a result that is gone or half: done again.
    assert run(version="8") == (3, 0, 30)
    readings(spec, 11).write_parquet(source / "a.parquet")
    assert run(version="8") == (1, 2, 31)
    (out / f"b.parquet{RESULT}").unlink()
    os.truncate(out / f"c.parquet{RESULT}", 10)
    assert run(version="8") == (2, 1, 31)
    (out / "_presagio" / "a.parquet.json").write_text('["no record"]')
    assert run(version="8") == (1, 2, 31)


def test_results_are_never_taken_for_files(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    readings(spec, 10).write_parquet(source / "a.parquet")
    with pytest.raises(DataError, match="results cannot go where the files are"):
        score_folder(predictor, source, source, settings)
    for _ in range(2):
        assert score_folder(predictor, source, source / "scores", settings).files == 1
    # Elsewhere they are files of another kind.
    again = score_folder(predictor, source, tmp_path / "out", settings)
    assert (again.files, again.others) == (1, 2)
    with pytest.raises(DataError, match="there is no file"):
        score_folder(predictor, source / "scores", tmp_path / "out", settings)


def test_a_column_with_the_name_of_an_answer_keeps_its_values(
    predictor: Predictor, spec: MachineSpec, settings: Settings, source: Path, tmp_path: Path
) -> None:
    sent = readings(spec, 5).with_columns(pl.lit(3.5).alias("score"), pl.lit("x").alias("row"))
    sent.write_parquet(source / "a.parquet")
    score_folder(predictor, source, tmp_path / "out", settings)
    result = pl.read_parquet(tmp_path / "out" / f"a.parquet{RESULT}")
    assert result["score (sent)"].to_list() == [3.5] * 5
    assert np.isfinite(result["score"].to_numpy()).all()
