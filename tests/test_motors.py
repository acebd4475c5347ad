"""Series from a file to an answer: times sort as times, gaps have the unit's last value."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from presagio.inference.predictor import Prediction, load_predictor
from presagio.ingest.checking import check_file
from presagio.lifecycle.gate import GateRules, compare
from presagio.machine.spec import parse_spec
from presagio.pages.model_card import card_page
from presagio.scoring.frames import inputs_of, score_frame
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.splitting import split_dataset
from presagio.training.evaluation.leaks import find_leaks
from presagio.training.export.parity import export_model
from presagio.training.export.report import write_tables
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import TrainedModel, train_model
from tests.motors import MOTORS, motor_csv, motor_rows, motors

_NAMES = motors().input_names


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return check_file(io.BytesIO(motor_csv(motor_rows(20, 60))), motors()).accepted


@pytest.fixture(scope="module")
def dataset(rows: pl.DataFrame) -> Dataset:
    return dataset_from_frame(rows, motors(), "motors.csv")


@pytest.fixture(scope="module")
def model(dataset: Dataset) -> TrainedModel:
    return train_model(dataset, motors(), grid=SMALL_GRID)


def _carried_by_polars(rows: pl.DataFrame, name: str) -> pl.Series:
    return (
        rows.sort("taken_at")
        .select("motor", "taken_at", pl.col(name).forward_fill().over("motor"))
        .sort("motor", "taken_at")[name]
    )


@pytest.mark.parametrize("name", ["current_a", "vibration"])
def test_what_a_unit_had_last_stands_in_whatever_order_rows_come_in(
    rows: pl.DataFrame, name: str
) -> None:
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=1)
    inputs = dataset_from_frame(shuffled, motors(), "motors.csv").inputs
    found = shuffled.select("motor", "taken_at").with_columns(
        value=pl.Series(inputs[:, _NAMES.index(name)]).fill_nan(None)
    ).sort("motor", "taken_at")  # fmt: skip
    assert found["value"].to_list() == _carried_by_polars(rows, name).to_list()
    assert found["value"].null_count() < rows[name].null_count()


def test_training_and_scoring_carry_alike(rows: pl.DataFrame, dataset: Dataset) -> None:
    np.testing.assert_array_equal(inputs_of(rows, motors()), dataset.inputs)
    # Without unit and time, medians have to do for all.
    assert inputs_of(rows.drop("motor"), motors()).shape == (len(rows), len(_NAMES))


def test_no_unit_is_on_both_sides(model: TrainedModel) -> None:
    train, test = model.split.train, model.split.test
    assert train.keys is not None
    assert test.keys is not None
    assert not {*train.keys} & {*test.keys}


def test_the_card_says_how_much_was_carried(model: TrainedModel, rows: pl.DataFrame) -> None:
    missing = model.card["data"]["missing"]
    assert missing["vibration"]["share"] == pytest.approx(
        rows["vibration"].null_count() / len(rows)
    )
    assert 0.25 < missing["vibration"]["carried"] < missing["vibration"]["share"]
    assert "carried" not in missing["humidity"]
    assert "Last of the unit instead" in card_page(model.card)


def test_the_exported_model_scores_held_out_rows_as_it_was_evaluated(
    model: TrainedModel, rows: pl.DataFrame, tmp_path: Path
) -> None:
    predictor = load_predictor(tmp_path, digest=export_model(model, tmp_path))
    holdout = pl.read_parquet(write_tables(model, tmp_path)[0])
    scores = score_frame(predictor, holdout)["score"].to_numpy()
    np.testing.assert_allclose(scores, model.prediction.score, atol=1e-3)
    assert model.evaluation.test.average_precision > 0.5
    # Of whole units the same comes of the rows as they were filed.
    assert model.split.test.keys is not None
    units = rows.filter(pl.col("motor").is_in([*model.split.test.keys]))
    np.testing.assert_allclose(score_frame(predictor, units)["score"], scores, atol=1e-9)


def test_the_gate_compares_versions_on_what_was_carried(
    model: TrainedModel, tmp_path: Path
) -> None:
    export_model(model, tmp_path / "artifact")
    predictor = load_predictor(tmp_path / "artifact")
    frame = pl.read_parquet(write_tables(model, tmp_path)[0])
    rows, target = inputs_of(frame, motors()), frame["failed"].to_numpy()
    assert rows.shape[1] == len(motors().model_inputs)
    prediction = predictor.predict(rows)
    nothing = Prediction(prediction.score, prediction.probability, np.zeros(len(rows), bool))
    decision = compare(motors(), rows, target, ("2", prediction), ("1", nothing), rules=GateRules())
    assert decision.passed


def test_a_counter_sorts_as_a_number() -> None:
    text = MOTORS.read_text("utf-8").replace('zone = "Europe/Madrid"', 'kind = "counter"')
    spec = parse_spec(f'{text}\n[division]\nby = "time"\n'.encode(), "motors.toml")
    rows = motor_rows(20, 60).with_columns(
        taken_at=(pl.col("taken_at") - pl.col("taken_at").min()).dt.total_hours() + 1
    )
    checked = check_file(rows.write_csv().encode(), spec)
    split = split_dataset(dataset_from_frame(checked.accepted, spec, "motors.csv"))
    assert split.train.keys is not None
    assert split.test.keys is not None
    assert split.train.keys.max() <= split.test.keys.min() == 49.0
    grown = split.train.inputs.copy()
    grown[:, _NAMES.index("load")] = split.train.keys
    leaky = type(split.train)(grown, split.train.labels, split.train.keys)
    leaks = find_leaks(spec, leaky, divided_by="time")
    assert any("load grows with the time" in str(leak) for leak in leaks)
