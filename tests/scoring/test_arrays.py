import numpy as np
import polars as pl
import pytest

from presagio.errors import DataError
from presagio.inference.alarm_modes import modes_of
from presagio.inference.predictor import Predictor, fallback_folder, load_predictor
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.scoring.arrays import score_rows
from presagio.scoring.frames import SCHEMA, inputs_of, score_frame


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor(fallback_folder())


@pytest.fixture(scope="module")
def readings(spec: MachineSpec) -> pl.DataFrame:
    return next(iter(simulate(spec, 3000, seed=11)))


def test_rows_have_what_the_model_predicts_and_alarms_their_mode(
    predictor: Predictor, readings: pl.DataFrame, spec: MachineSpec
) -> None:
    inputs = inputs_of(readings, spec)
    scored, predicted = score_rows(predictor, inputs), predictor.predict(inputs)
    for name in ("score", "probability", "label"):
        np.testing.assert_array_equal(getattr(scored, name), getattr(predicted, name))
    assert 0 < scored.label.sum() < len(inputs)
    assert scored.alarm_modes == modes_of(predictor, inputs[scored.label])


def test_a_frame_in_is_a_frame_out(predictor: Predictor, readings: pl.DataFrame) -> None:
    shuffled = readings.select(*reversed(readings.columns))
    found = score_frame(predictor, shuffled)
    assert found.schema == SCHEMA
    assert len(found) == len(readings)
    inputs = inputs_of(readings, predictor.artifact.spec)
    np.testing.assert_array_equal(found["score"].to_numpy(), score_rows(predictor, inputs).score)
    assert found.filter(pl.col("mode").is_not_null() != pl.col("label")).is_empty()


def test_no_rows_are_no_scores(predictor: Predictor, readings: pl.DataFrame) -> None:
    assert score_frame(predictor, readings.head(0)).schema == SCHEMA


def test_a_gap_is_refused_and_not_called_healthy(
    predictor: Predictor, readings: pl.DataFrame
) -> None:
    with pytest.raises(DataError, match="no column torque_nm"):
        score_frame(predictor, readings.drop("torque_nm"))
    gap = readings.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("torque_nm").alias("torque_nm")
    )
    with pytest.raises(DataError, match="gaps in torque_nm"):
        score_frame(predictor, gap)
