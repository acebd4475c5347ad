"""Before it fails: labels from events, windows, alarms by failures; from files to scores."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from presagio.errors import DataError, InvalidSpecError
from presagio.inference.predictor import load_predictor
from presagio.inference.rehearsal import rehearse
from presagio.ingest.checking import check_file
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.pages.model_card import card_page
from presagio.scoring.frames import inputs_of, score_frame
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.datasets.conditions import fit_conditions
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.sources import read_labelled_csv
from presagio.training.datasets.splitting import split_dataset
from presagio.training.detectors.features import compute_features
from presagio.training.export.parity import export_model
from presagio.training.export.report import write_tables
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import TrainedModel, train_model
from tests.engines import (
    ENGINES,
    engine_rows,
    engines,
    engines_with_events,
    engines_with_events_text,
    turbofan,
)
from tests.extent import NIGHTLY
from tests.motors import MOTORS

_TEXT = ENGINES.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    body = engine_rows(15).write_csv().encode()
    return check_file(io.BytesIO(body), engines()).accepted


@pytest.fixture(scope="module")
def dataset(rows: pl.DataFrame) -> Dataset:
    return dataset_from_frame(rows, engines(), "engines.csv")


@pytest.fixture(scope="module")
def model(dataset: Dataset) -> TrainedModel:
    return train_model(dataset, engines(), grid=SMALL_GRID)


def test_a_file_without_labels_has_them_from_what_became_of_its_units(
    rows: pl.DataFrame, dataset: Dataset
) -> None:
    left = rows.select(pl.col("cycle").max().over("unit") - pl.col("cycle")).to_series()
    assert dataset.target.tolist() == (left <= 30).to_list()
    assert dataset.censored == 0
    assert dataset.series is not None
    assert dataset.series.left.tolist() == left.to_list()
    assert dataset.inputs.shape == (len(rows), len(engines().model_inputs))


def _with(old: str, new: str) -> MachineSpec:
    assert old in _TEXT
    return parse_spec(_TEXT.replace(old, new).encode(), "engines.toml")


def test_who_did_not_fail_and_was_not_seen_for_long_is_left_out(rows: pl.DataFrame) -> None:
    spec = _with('source = "last_row"', 'source = "target"')
    unit = pl.col("unit").is_in(["1", "2"])
    last = pl.col("cycle") == pl.col("cycle").max().over("unit")
    frame = rows.with_columns(failure=last & ~unit)
    dataset = dataset_from_frame(frame, spec, "engines.csv")
    assert dataset.series is not None
    assert dataset.censored == 2 * 30
    alive = np.isin(dataset.series.units.astype(str), ["1", "2"])
    assert alive.sum() == len(rows.filter(unit)) - 60
    assert not dataset.target[alive].any()


def test_a_repaired_unit_has_no_history_of_its_life_before(rows: pl.DataFrame) -> None:
    spec = _with('source = "last_row"', 'source = "target"')
    last = pl.col("cycle") == pl.col("cycle").max().over("unit")
    lives = rows.with_columns(failure=last)
    # One unit after the other, as one unit that is repaired each time.
    one = lives.with_columns(unit=pl.lit("1"), cycle=pl.int_range(1, pl.len() + 1).cast(pl.Float64))
    apart = dataset_from_frame(lives, spec, "apart").inputs
    together = dataset_from_frame(one, spec, "together").inputs
    np.testing.assert_array_equal(together[:, :-1], apart[:, :-1])


def test_training_and_scoring_see_the_same(rows: pl.DataFrame, dataset: Dataset) -> None:
    np.testing.assert_array_equal(inputs_of(rows, engines()), dataset.inputs)


def test_the_search_takes_windows_and_alarms_come_before_failures(model: TrainedModel) -> None:
    (plan,) = model.result.alarm.plans
    assert plan.features.name == "windows"
    assert model.evaluation.test.average_precision > 0.95
    events = model.evaluation.events
    assert events is not None
    assert (events.failures, events.caught, events.too_early) == (3, 3, 0)
    assert events.lead_p50 is not None
    assert 15 < events.lead_p50 < 45
    out_of_fold = model.evaluation.events_out_of_fold
    assert out_of_fold is not None
    assert (out_of_fold.failures, out_of_fold.missed) == (12, 0)


def test_how_long_a_unit_has_left_is_a_second_output(model: TrainedModel, tmp_path: Path) -> None:
    predictor = load_predictor(tmp_path, digest=export_model(model, tmp_path))
    table, life = predictor.artifact.manifest.remaining, model.remaining
    assert life is not None
    assert table is not None
    assert (table.most, table.unit, table.coverage) == (125.0, "cycle", 0.9)
    inputs = model.split.test.inputs
    found = predictor.remaining_life(inputs)
    assert found is not None
    expected = life.regression.predict(compute_features(engines(), inputs, life.features.columns))
    np.testing.assert_allclose(found.value, expected, atol=125e-3)
    assert model.split.test.series is not None
    left = np.minimum(model.split.test.series.left, 125.0)
    assert np.sqrt(np.mean((found.value - left) ** 2)) < 15
    card = model.card["remaining_life"]
    assert card["rmse"] == pytest.approx(np.sqrt(np.mean((found.value - left) ** 2)), abs=0.2)
    assert 0.7 < card["coverage"] <= 1.0
    assert "Remaining life up to 125" in card_page(model.card)


def test_no_regression_is_learned_where_none_is_wanted(rows: pl.DataFrame, tmp_path: Path) -> None:
    spec = _with("[remaining_life]\nmost = 125\n", "")
    model = train_model(dataset_from_frame(rows, spec, "engines"), spec, grid=SMALL_GRID)
    predictor = load_predictor(tmp_path, digest=export_model(model, tmp_path))
    assert predictor.remaining_life(model.split.test.inputs) is None
    assert model.card["remaining_life"] == {}


def test_the_card_says_what_is_foreseen(model: TrainedModel) -> None:
    horizon = model.card["horizon"]
    assert (horizon["within"], horizon["unit"], horizon["confirm"]) == (30.0, "cycle", [2, 3])
    assert horizon["events"]["test"]["caught"] == 3
    page = card_page(model.card)
    assert "Failures foreseen" in page
    assert "First alarms of 3 failures" in page
    assert page.count("Probability of a failure along a life") == len(horizon["lives"]) == 3
    # What somebody else wrote into a card breaks nothing.
    odd = {"lead_times": ["x", -5.0], "lives": [{"left": [1], "probability": ["x"], "alarm": 3}, 7]}
    assert "First alarms of 1 failures" in card_page(model.card | {"horizon": horizon | odd})
    assert "does not foresee" not in page


def test_the_artifact_scores_as_it_was_evaluated_at_every_door(
    model: TrainedModel, rows: pl.DataFrame, tmp_path: Path
) -> None:
    predictor = load_predictor(tmp_path, digest=export_model(model, tmp_path))
    rehearse(predictor)
    held_out = pl.read_parquet(write_tables(model, tmp_path)[0])
    scores = score_frame(predictor, held_out)["score"].to_numpy()
    np.testing.assert_allclose(scores, model.prediction.score, atol=1e-3)
    assert model.split.test.series is not None
    units = rows.filter(pl.col("unit").is_in([*model.split.test.series.units]))
    np.testing.assert_allclose(score_frame(predictor, units)["score"], scores, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("within = 30", 'within = "30 parsecs"', "is no duration"),
        ("within = 30", 'within = "7d"', "within is a number"),
        ("within = 30", "within = -1", "is not ahead"),
        ("most = 125", "most = 0", "is not ahead"),
        ("most = 125", 'most = "30d"', "most is a number"),
        ("most = 125", "most = 125\ncoverage = 1.5", "less than 1"),
        ("within = 30", "", "a label has within where its kind is horizon"),
        ('kind = "horizon"\nwithin = 30', "", "needs .label. kind"),
        ('source = "last_row"\n\n[label]\nkind = "horizon"\nwithin = 30', "", "remaining life"),
        ("rows = [5, 30]", "rows = [1]", "greater than or equal to 2"),
        ("rows = [5, 30]", "rows = [5, 5]", "names one twice"),
        ("age = true", 'of = ["torque"]', "torque is none"),
        ("age = true", 'by_condition = ["torque"]', "torque is none"),
        ('kind = "counter"', "", "within is a text"),
        ("[events]", "[alarm]\nconfirm = [3, 2]\n[events]", "3 of 2 readings"),
        ('[time]\nname = "cycle"\nkind = "counter"', "", r"needs \[unit\] and \[time\]"),
    ],
)
def test_a_mistake_of_a_spec_is_named(old: str, new: str, fault: str) -> None:
    with pytest.raises(InvalidSpecError, match=fault):
        _with(old, new)


def _two_ways_of_running() -> tuple[MachineSpec, pl.DataFrame]:
    """Return engines that are run in two ways, by which sensors differ more than by wear."""
    setting = '[[features]]\nname = "setting"\n[[features]]\nname = "sensor_2"\n'
    text = _TEXT.replace('[[features]]\nname = "sensor_2"\n', setting, 1)
    spec = parse_spec(
        f'{text}by_condition = ["setting"]\nconditions = 2\n'.encode(), "engines.toml"
    )
    rows = engine_rows(15)
    fast = np.random.default_rng(0).random(len(rows)) < 0.5
    moved = [pl.col(name) + 80.0 * pl.Series(fast) for name in engines().feature_names]
    return spec, rows.with_columns(*moved, setting=pl.Series(np.where(fast, 42.0, 10.0)))


def test_windows_by_condition_tell_wear_from_how_an_engine_is_run(tmp_path: Path) -> None:
    spec, raw = _two_ways_of_running()
    rows = check_file(raw.write_csv().encode(), spec).accepted
    model = train_model(dataset_from_frame(rows, spec, "engines"), spec, grid=SMALL_GRID)
    assert model.evaluation.test.average_precision > 0.95
    predictor = load_predictor(tmp_path, digest=export_model(model, tmp_path))
    rehearse(predictor)
    conditions = predictor.artifact.manifest.conditions
    assert conditions is not None
    assert sorted(round(row[0]) for row in conditions.centres) == [-1, 1]
    assert model.split.test.series is not None
    units = rows.filter(pl.col("unit").is_in([*model.split.test.series.units]))
    scores = score_frame(predictor, units)["score"].to_numpy()
    np.testing.assert_allclose(scores, model.prediction.score, atol=1e-3)
    held_out = pl.read_parquet(write_tables(model, tmp_path)[0])
    np.testing.assert_allclose(score_frame(predictor, held_out)["score"], scores, atol=1e-9)


def test_conditions_are_learned_in_the_training_part_alone() -> None:
    spec, raw = _two_ways_of_running()
    rows = check_file(raw.write_csv().encode(), spec).accepted
    dataset = dataset_from_frame(rows, spec, "engines")
    split = split_dataset(dataset)
    expected = fit_conditions(spec, split.train.inputs)
    model = train_model(dataset, spec, grid=SMALL_GRID)
    assert expected is not None
    assert model.imputation.conditions is not None
    assert model.imputation.conditions.table() == expected.table()


def test_durations_are_of_timestamps() -> None:
    text = _TEXT.replace('kind = "counter"', "").replace("within = 30", 'within = "1.5h"')
    text = text.replace("most = 125", 'most = "30d"')
    spec = parse_spec(text.replace("age = true", "").encode(), "engines.toml")
    assert spec.label.horizon == 1.5 * 3600 * 1e6


@pytest.mark.slow
@pytest.mark.skipif(not NIGHTLY, reason="a minute of a processor: nightly")
def test_real_engines_are_foreseen(tmp_path: Path) -> None:
    train, test = turbofan("train_FD001.csv.gz"), turbofan("test_FD001.csv.gz")
    spec = engines()
    model = train_model(read_labelled_csv(train, spec), spec, grid=SMALL_GRID)
    predictor = load_predictor(tmp_path, digest=export_model(model, tmp_path))
    with test.open("rb") as file:
        rows = check_file(file, spec, suffix=".csv.gz").accepted
    rul = pl.read_csv(turbofan("RUL_FD001.csv"), schema_overrides={"unit": pl.String})
    left = rows.join(rul, on="unit", maintain_order="left").select(
        pl.col("cycle").max().over("unit") + pl.col("rul") - pl.col("cycle")
    )
    target = (left.to_series() <= 30).to_numpy()
    assert average_precision_score(target, score_frame(predictor, rows)["score"]) > 0.95
    events = model.evaluation.events_out_of_fold
    assert events is not None
    assert (events.failures, events.caught, events.too_early) == (80, 80, 0)
    last = rows.with_row_index("at").group_by("unit").agg(pl.col("at").max()).join(rul, on="unit")
    inputs = inputs_of(rows, spec, predictor.histories())[last["at"].to_numpy()]
    life = predictor.remaining_life(inputs)
    assert life is not None
    assert np.sqrt(np.mean((life.value - last["rul"].to_numpy()) ** 2)) < 13


def test_a_log_of_failures_labels_as_the_last_rows_do(
    tmp_path: Path, rows: pl.DataFrame, dataset: Dataset
) -> None:
    spec = _with('source = "last_row"', 'source = "log"')
    readings, log = tmp_path / "readings.csv", tmp_path / "events.csv"
    readings.write_bytes(engine_rows(15).write_csv().encode())
    failures = rows.group_by("unit").agg(pl.col("cycle").max()).with_columns(kind=pl.lit("failure"))
    stranger = pl.DataFrame({"unit": ["99"], "cycle": [5.0], "kind": ["repair"]})
    pl.concat([failures, stranger]).write_csv(log)
    found = read_labelled_csv(readings, spec, events=log)
    np.testing.assert_array_equal(found.target, dataset.target)
    np.testing.assert_array_equal(found.inputs, dataset.inputs)
    assert found.sha256 != dataset.sha256
    assert found.events["failures"] == 15
    assert found.events["of_unknown_units"] == 1
    # Of units that no log tells of, nobody knows when they fail.
    with pytest.raises(DataError, match="0 failures"):
        read_labelled_csv(readings, spec)


def test_units_and_times_are_no_columns_of_a_log() -> None:
    with pytest.raises(InvalidSpecError, match="kind is a column of the log of events"):
        _with('name = "cycle"', 'name = "kind"')
    text = MOTORS.read_text(encoding="utf-8") + '\n[events]\nsource = "log"\n'
    with pytest.raises(InvalidSpecError, match="failures of a log need"):
        parse_spec(text.encode(), "motors.toml")


def test_errors_and_repairs_of_a_log_are_features(tmp_path: Path) -> None:
    spec = engines_with_events()
    readings, log = tmp_path / "readings.csv", tmp_path / "events.csv"
    # Whatever a file of readings says of them, the log counts.
    engine_rows(15).with_columns(errors=pl.lit(7)).write_csv(readings)
    log.write_text(
        "unit,cycle,kind\n1,3,error\n1,3.5,error\n1,2,repair\n1,4.5,error\n",
        encoding="utf-8",
    )
    found = read_labelled_csv(readings, spec, events=log)
    assert found.series is not None
    unit = found.series.units == "1"
    # The readings until the repair are left out: nobody knows how long that life would have been.
    order = np.flatnonzero(unit)[np.argsort(found.series.times[unit])][:5]
    named = dict(zip(spec.model_inputs, found.inputs[order].T, strict=True))
    assert named["errors"].tolist() == [1, 1, 1, 0, 0]
    # The repair began a life, whose windows know nothing of the one before.
    assert named["errors_count_5"].tolist() == [1, 2, 3, 3, 3]
    assert named["since_repair"].tolist() == [1, 2, 3, 4, 5]
    assert not named["missing_since_repair"].any()
    assert not found.inputs[found.series.units == "2"][:, spec.model_inputs.index("errors")].any()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('from_events = "errors"', 'from_events = "errors"\nmissing = "last"', "has no policy"),
        ('kind = "horizon"\nwithin = 30', 'kind = "row"', "needs .label. kind"),
        ("age = true", 'of = ["errors"]', "count events by themselves"),
        ('kind = "counter"', "", "its unit is one of d, h, min, s"),
    ],
)
def test_what_is_from_events_needs_them(old: str, new: str, why: str) -> None:
    text = engines_with_events_text()
    assert old in text
    text = text.replace(old, new)
    if "counter" in old:
        text = text.replace("within = 30", 'within = "1h"').replace("most = 125", 'most = "9h"')
        text = text.replace("age = true", "")
    with pytest.raises(InvalidSpecError, match=why):
        parse_spec(text.encode(), "engines.toml")
