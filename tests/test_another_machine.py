"""Another machine from one file: gaps, labels in words, no ranges, from a file to an answer."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from presagio.errors import DataError, InvalidSpecError, NoDataError
from presagio.inference.diagnosis import explain
from presagio.inference.imputation import as_read, fit_imputation, missing_in
from presagio.inference.predictor import load_predictor
from presagio.inference.rehearsal import rehearse
from presagio.inference.shapley import attribute
from presagio.ingest.checking import check_file
from presagio.machine.headers import HeaderLimits
from presagio.machine.limits import derive_quantities
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.readings.table import ReadingsTable
from presagio.scoring.frames import score_frame
from presagio.settings import load_settings
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.sources import default_dataset, read_labelled_csv
from presagio.training.datasets.splitting import Part
from presagio.training.evaluation.leaks import find_leaks
from presagio.training.export.parity import export_model
from presagio.training.export.report import write_tables
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import TrainedModel, train_model
from tests.pumps import PUMPS, pump_csv, pump_rows, pumps


@pytest.fixture(scope="module")
def spec() -> MachineSpec:
    return pumps()


@pytest.fixture(scope="module")
def dataset(spec: MachineSpec, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("pumps") / "pumps.csv"
    path.write_bytes(pump_csv(1500))
    return read_labelled_csv(path, spec)


@pytest.fixture(scope="module")
def model(spec: MachineSpec, dataset: Dataset) -> TrainedModel:
    return train_model(dataset, spec, grid=SMALL_GRID)


def test_gaps_and_words_are_read_and_the_notes_say_how_many(spec: MachineSpec) -> None:
    rows = pump_rows(200)
    checked = check_file(io.BytesIO(rows.write_csv().encode()), spec, suffix=".csv")
    gaps = rows["Vibration"].is_in(["na", ""])
    assert checked.rejected.is_empty()
    assert checked.accepted["vibration_mm_s"].is_null().to_list() == gaps.to_list()
    assert checked.accepted["failed"].to_list() == (rows["Class"] == "pos").to_list()
    assert checked.notes["missing"] == {"vibration_mm_s": gaps.sum()}


@pytest.mark.parametrize("cell", ["?", "1.2.3", "nan", "inf", "1e999", "x" * 300])
def test_what_is_neither_a_number_nor_a_gap_is_a_fault_still(spec: MachineSpec, cell: str) -> None:
    rows = pump_rows(20).with_columns(pl.lit(cell).alias("Vibration"))
    checked = check_file(io.BytesIO(rows.write_csv().encode()), spec, suffix=".csv")
    assert checked.accepted.is_empty()


def test_a_gap_in_a_feature_that_may_not_be_missing_is_a_fault(spec: MachineSpec) -> None:
    rows = pump_rows(20).with_columns(pl.lit("na").alias("flow"))
    checked = check_file(io.BytesIO(rows.write_csv().encode()), spec, suffix=".csv")
    faults = checked.rejected["faults"].explode().struct.field("reason").unique().to_list()
    assert faults == ["missing"]


def test_a_column_that_may_be_missing_may_be_left_out(spec: MachineSpec) -> None:
    rows = pump_rows(20).drop("restarts")
    checked = check_file(io.BytesIO(rows.write_csv().encode()), spec, suffix=".csv")
    assert checked.accepted["restarts"].null_count() == 20
    assert any("restarts" in warning for warning in checked.warnings)


_CELLS = st.one_of(
    st.sampled_from(["", "na", "NA ", "-", "nan", "inf", "1e999", "1.5", " 2 ", "x" * 300]),
    st.floats(allow_nan=False).map(str),
    st.text("0123456789.eE+-naif ", max_size=6),
)


@given(st.lists(st.tuples(_CELLS, _CELLS, st.sampled_from(["pos", "NEG ", "1", "no", "x"])),
                min_size=1, max_size=6))  # fmt: skip
def test_the_fast_path_and_the_slow_one_read_the_same(rows: list[tuple[str, str, str]]) -> None:
    spec = pumps()
    restarts, vibration, label = (list(column) for column in zip(*rows, strict=True))
    table = pump_rows(len(rows)).with_columns(
        pl.Series("restarts", restarts), pl.Series("Vibration", vibration),
        pl.Series("Class", label), pl.lit("P").alias("pump"),
    )  # fmt: skip
    # A line's end in a quoted cell sends a file the slow way.
    texts = [table.write_csv(), table.write_csv(quote_style="always").replace('"P"', '"P\n"', 1)]
    found = [check_file(io.BytesIO(text.encode()), spec, suffix=".csv") for text in texts]
    assert_frame_equal(found[0].accepted, found[1].accepted)
    reasons = [one.rejected["faults"].explode().struct.field("reason").to_list() for one in found]
    assert reasons[0] == reasons[1]
    assert len(found[0].accepted) + len(found[0].rejected) == len(rows)


def test_tables_with_numbers_have_gaps_as_null_and_nan(spec: MachineSpec) -> None:
    frame = pl.DataFrame(
        {
            "pressure_bar": [10.0, 10.0, 10.0, None], "flow": [50.0] * 4,
            "restarts": [1.0, None, float("nan"), 1.0], "vibration_mm_s": [3, None, 3, 3],
            "seal_double": [True, False, True, False],
        }
    )  # fmt: skip
    table = ReadingsTable(frame.schema, spec, HeaderLimits(100, 100))
    checked = table.check(frame)
    assert checked.faults is not None
    assert checked.faults["reason"].to_list() == [None, None, None, "missing"]
    assert np.isnan(checked.inputs[:, 2]).tolist() == [False, True, True]


def test_medians_stand_in_and_flags_say_so(spec: MachineSpec) -> None:
    rows = np.array([[1, 2, 3, 4, 0], [1, 2, np.nan, 6, 1], [1, 2, 5, np.nan, 1]], dtype=float)
    imputation = fit_imputation(spec, rows)
    completed = imputation.complete(rows)
    assert imputation.medians == {"restarts": 4.0, "vibration_mm_s": 5.0}
    assert completed.shape == (3, len(spec.model_inputs))
    assert completed[1].tolist() == [1, 2, 4, 6, 1, 1, 0]
    assert imputation.complete(completed) is completed
    assert np.array_equal(as_read(spec, completed), rows, equal_nan=True)
    assert fit_imputation(spec, completed).medians == imputation.medians


def test_quantities_are_what_they_say(spec: MachineSpec) -> None:
    readings = {
        "pressure_bar": np.array([6.0, 1.0]), "flow": np.array([3.0, 0.0]),
        "restarts": np.array([np.e - 1, -3.0]),
    }  # fmt: skip
    found = derive_quantities(spec, readings)
    assert found["head_per_flow"].tolist() == [2.0, 0.0]
    assert found["load"].tolist() == [9.0, 1.0]
    assert found["log_restarts"] == pytest.approx([1.0, -np.log(4.0)])


def test_a_model_of_them_is_exported_and_says_what_was_missing(
    model: TrainedModel, spec: MachineSpec, tmp_path: Path
) -> None:
    predictor = load_predictor(tmp_path, digest=export_model(model, tmp_path))
    rehearse(predictor)
    assert model.evaluation.test.average_precision > 0.6
    card = predictor.artifact.card
    assert card["spec_sha256"] == spec.digest
    assert card["data"]["missing"]["vibration_mm_s"]["share"] == pytest.approx(0.2, abs=0.05)
    values = predictor.values({"pressure_bar": 19.0, "flow": 21.0, "seal_double": False})
    assert missing_in(spec, values) == ["restarts", "vibration_mm_s"]
    with pytest.raises(KeyError, match="flow"):
        predictor.values({"pressure_bar": 19.0, "seal_double": False})
    score, _, label = predictor.predict_one(values)
    assert score == pytest.approx(predictor.predict((values,)).score.item())
    found = explain(predictor, np.array(values), alarm=label)
    assert found.attribution is not None
    total = found.attribution.base + sum(found.attribution.contributions.values())
    assert total == pytest.approx(predictor.predict((values,)).probability.item())
    assert found.clearing is None or found.clearing.feature in {"pressure_bar", "flow"}


def test_held_out_rows_are_kept_as_they_were_read(model: TrainedModel, tmp_path: Path) -> None:
    export_model(model, tmp_path / "artifact")
    predictor = load_predictor(tmp_path / "artifact")
    holdout = pl.read_parquet(write_tables(model, tmp_path)[0])
    assert holdout["vibration_mm_s"].null_count() > 0
    assert not [name for name in holdout.columns if name.startswith("missing_")]
    scores = score_frame(predictor, holdout)["score"].to_numpy()
    assert scores == pytest.approx(model.prediction.score, abs=1e-3)
    with pytest.raises(DataError, match="gaps in flow"):
        score_frame(predictor, holdout.with_columns(flow=pl.lit(None, pl.Float64)))


def test_a_machine_without_data_and_without_a_generator_has_nothing_to_learn_from(
    spec: MachineSpec, tmp_path: Path
) -> None:
    with pytest.raises(NoDataError, match="train --csv FILE"):
        default_dataset(load_settings(tmp_path), spec)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('of = ["pressure_bar", "flow"]\n\n[[', 'of = ["flow"]\n\n[[', "ratio is of two"),
        ('true_words = ["pos"]', 'true_words = ["neg"]', "mean true and false"),
        ('name = "flow"\n', 'name = "flow"\nper_minute = 1.0\n', "needs a range"),
        ('missing = "median"', 'missing = "zero"', "missing"),
        ('name = "pump"\n', 'name = "missing_restarts"\n', "unique"),
    ],
)  # fmt: skip
def test_a_spec_that_contradicts_itself_is_refused(old: str, new: str, why: str) -> None:
    text = PUMPS.read_text("utf-8")
    assert old in text
    with pytest.raises(InvalidSpecError, match=why):
        parse_spec(text.replace(old, new, 1).encode(), "pumps.toml")


def test_explanations_of_many_features_are_sampled_and_say_how_exact_they_are(
    tmp_path: Path,
) -> None:
    rng, names = np.random.default_rng(0), [f"s{i}" for i in range(20)]
    features = "".join(f'[[features]]\nname = "{name}"\nmissing = "median"\n' for name in names)
    text = f'name = "wide"\ntitle = "Wide"\n{features}[target]\nname = "failed"\n'
    wide = parse_spec(text.encode(), "wide.toml")
    values = rng.normal(size=(800, 20))
    frame = pl.DataFrame(dict(zip(names, values.T, strict=True))).with_columns(
        failed=pl.Series(values[:, 0] + values[:, 1] > 1.5)
    )
    trained = train_model(dataset_from_frame(frame, wide, "made"), wide, grid=SMALL_GRID)
    predictor = load_predictor(tmp_path, digest=export_model(trained, tmp_path))
    row = np.array([2.0, 2.0, *[0.0] * 17, np.nan])
    found = attribute(predictor, predictor.complete(row[None])[0])
    assert found is not None
    total = found.base + sum(found.contributions.values())
    probability = predictor.predict(row[None]).probability.item()
    assert total == pytest.approx(
        probability, abs=3 * sum(e**2 for e in found.errors.values()) ** 0.5
    )
    assert {*found.errors} == {*names}
    largest = sorted(found.contributions, key=lambda name: -found.contributions[name])[:2]
    assert {*largest} == {"s0", "s1"}
    assert max(found.errors.values()) < 0.02


def test_features_that_know_too_much_are_named(spec: MachineSpec, model: TrainedModel) -> None:
    rows, labels = model.split.train.inputs.copy(), model.split.train.labels
    assert find_leaks(spec, model.split.train, divided_by="unit") == []
    rows[:, 0] = model.split.train.target * 5.0 + rows[:, 0] / 100
    days = [f"2026-01-{i // 60 + 1:02d}" for i in range(len(rows))]
    rows[:, 1] = np.arange(len(rows))
    leaky = Part(rows, labels, np.array(days))
    told, grown = find_leaks(spec, leaky, divided_by="time")
    assert str(told).startswith("pressure_bar nearly tells failed by itself")
    assert str(grown).startswith("flow grows with the time")
