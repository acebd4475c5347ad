"""Histories across files: the scores of many files are those of all of them as one."""

import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from presagio.inference.predictor import Predictor, load_predictor
from presagio.inference.series import SeriesFeatures
from presagio.ingest.checking import check_file
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.readings.instants import time_numbers
from presagio.scoring.histories import join_tails
from presagio.scoring.one_file import FileLimits
from presagio.scoring.places import open_place
from presagio.scoring.run import RESULT, FileTask, ModelFiles, ScoringRun
from presagio.scoring.tails import Tail
from presagio.scoring.task import tail_task
from presagio.settings import Settings
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.export.parity import export_model
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import train_model
from tests.engines import engine_rows, engines
from tests.inference.test_series import KINDS, ROWS, TEXT, Rows
from tests.scoring.runs import score_folder

_SETTINGS = Settings(home=Path("/nonexistent"))
_SPECS = [
    parse_spec(text, "engines")
    for text in (TEXT, *(KINDS[name] for name in ("alone", "events", "durations")))
]
_NO_MODEL = ModelFiles("svm", "1", "", ())
_CARRIED = parse_spec(TEXT[: TEXT.index(b"[windows]")], "engines")


@pytest.fixture(scope="module")
def folders() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _frame(rows: Rows) -> pl.DataFrame:
    columns = ["unit", "cycle", "a", "b"]
    frame = pl.DataFrame(rows, schema=columns, orient="row", strict=False)
    kinds = [pl.String, pl.Int64, pl.Float64, pl.Float64]
    casts = (pl.col(name).cast(kind) for name, kind in zip(columns, kinds, strict=True))
    return frame.select(casts).fill_nan(None)


def _arrays(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inputs = rows.select(pl.col("a", "b").fill_null(np.nan)).to_numpy()
    times = time_numbers(rows["cycle"].cast(pl.Float64))
    return inputs, rows["unit"].to_numpy().astype(object), times


@given(
    ROWS, st.lists(st.integers(0, 30), max_size=4), st.sampled_from([*_SPECS, _CARRIED]),
    st.booleans(),
)  # fmt: skip
def test_each_file_with_its_history_as_all_of_them_as_one(
    folders: Path, rows: Rows, cuts: list[int], spec: MachineSpec, is_sorted: bool
) -> None:
    """Whatever the order of times, and wherever a unit's readings are cut."""
    folder = Path(tempfile.mkdtemp(dir=folders))
    whole = _frame(sorted(rows, key=lambda row: row[1]) if is_sorted else rows)
    bounds = [0, *sorted(cuts), len(rows)]
    for i, (start, end) in enumerate(itertools.pairwise(bounds)):
        whole[start : max(start, end)].write_parquet(folder / f"{i}.parquet")
    to = folder / "to"
    run = ScoringRun(
        str(folder), str(to), json.dumps(spec.model_dump(mode="json")), _NO_MODEL,
        FileLimits(HeaderLimits(100, 100), 1 << 30),
    )  # fmt: skip
    find = partial(tail_task, run, _SETTINGS)
    place = open_place(str(folder), _SETTINGS)
    tails = [find(FileTask(file)) for file in place.files() if "/" not in file.name]
    assert [tail.fault for tail in tails] == [None] * len(tails)
    got, in_order = [], []
    for task in join_tails(run, _SETTINGS, tails, find):
        frame, features = pl.read_parquet(folder / task.file.name), SeriesFeatures(spec)
        if task.history is not None:
            known = Tail.read(to / task.history[0])
            features.expand(known.rows, known.units, known.times)
        got.append(features.expand(*_arrays(frame)))
        in_order.append(frame)
    expected = SeriesFeatures(spec).expand(*_arrays(pl.concat(in_order)))
    np.testing.assert_allclose(np.concatenate(got), expected, rtol=0, atol=1e-9)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    rows = check_file(engine_rows(10).write_csv().encode(), engines()).accepted
    model = train_model(dataset_from_frame(rows, engines(), "engines"), engines(), grid=SMALL_GRID)
    folder = tmp_path_factory.mktemp("engines")
    export_model(model, folder)
    return load_predictor(folder)


def test_files_of_days_are_scored_as_one_file(predictor: Predictor, tmp_path: Path) -> None:
    rows = engine_rows(4, seed=9).with_columns(pl.lit("kept").alias("site")).sort("cycle")
    settings = Settings(home=tmp_path / "home")
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    rows.write_parquet(tmp_path / "one" / "all.parquet")
    days = rows.with_columns((pl.col("cycle") // 17).alias("day"))
    parts = days.partition_by("day", include_key=False)
    for i, part in enumerate(parts):
        # Names do not say in which order files come; their times do.
        part.write_parquet(tmp_path / "many" / f"{99 - i}.parquet")
    one = score_folder(predictor, tmp_path / "one", tmp_path / "to_one", settings)
    many = score_folder(predictor, tmp_path / "many", tmp_path / "to_many", settings)
    assert one.faults == many.faults == {}
    assert one.counts.rows == many.counts.rows == len(rows)
    results = [
        pl.read_parquet(tmp_path / name / f"*{RESULT}").sort("unit", "time").drop("row")
        for name in ("to_one", "to_many")
    ]
    assert_frame_equal(results[0], results[1], abs_tol=1e-6)
    assert {"remaining_life", "remaining_low", "site"} <= {*results[0].columns}
    # Alone, the last file is scored otherwise: its histories are in the files before it.
    (tmp_path / "last").mkdir()
    parts[-1].write_parquet(tmp_path / "last" / "last.parquet")
    score_folder(predictor, tmp_path / "last", tmp_path / "to_last", settings)
    alone = pl.read_parquet(tmp_path / "to_last" / f"last.parquet{RESULT}").sort("unit", "time")
    joined = pl.read_parquet(tmp_path / "to_many" / f"{100 - len(parts)}.parquet{RESULT}")
    columns = ["score", "remaining_life"]
    joined = joined.sort("unit", "time")
    assert not np.allclose(alone.select(columns), joined.select(columns))


def test_what_comes_after_a_change_is_scored_again(predictor: Predictor, tmp_path: Path) -> None:
    rows, source = engine_rows(2, seed=9).sort("cycle"), tmp_path / "in"
    settings = Settings(home=tmp_path / "home")
    source.mkdir()

    def run() -> tuple[int, int]:
        found = score_folder(predictor, source, tmp_path / "out", settings, resume=True)
        assert not found.faults
        return found.files_scored, found.files_skipped

    for i in range(3):
        rows[i * 40 : i * 40 + 40].write_parquet(source / f"{i}.parquet")
    assert run() == (3, 0)
    assert run() == (0, 3)
    rows[120:160].write_parquet(source / "3.parquet")
    assert run() == (1, 3)
    # The second one lacks its last readings: those after it have another history.
    rows[40:70].write_parquet(source / "1.parquet")
    assert run() == (3, 1)
