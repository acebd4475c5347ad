import numpy as np
import pytest

from presagio.inference.imputation import input_columns
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.detectors import features as features_module
from presagio.training.detectors.features import FeatureTable, compute_features, feature_sets
from presagio.training.detectors.scaling import build_scaling


def test_sets_of_the_default_spec(spec: MachineSpec) -> None:
    names = [features.name for features in feature_sets(spec)]
    assert names == ["squashed_4", "squashed_16", "beyond", "limits", "derived", "raw"]
    own = {features.name: features.columns for features in feature_sets(spec, "osf")}
    assert own["limits"] == ("osf_strain_above",)
    assert list(own) == ["squashed_4", "squashed_16", "beyond", "limits"]
    assert [f.name for f in feature_sets(spec, "rnf")] == ["derived", "raw"]


def test_a_spec_without_limits_or_quantities_has_raw_features(spec: MachineSpec) -> None:
    bare = spec.model_copy(update={"rules": (), "quantities": ()})
    assert [features.name for features in feature_sets(bare)] == ["raw"]
    derived = spec.model_copy(update={"rules": ()})
    assert [features.name for features in feature_sets(derived)] == ["derived", "raw"]


def test_labels_are_never_features(spec: MachineSpec) -> None:
    for features in feature_sets(spec):
        assert not set(features.columns) & set(spec.label_names)


def test_features_are_computed_by_name(spec: MachineSpec) -> None:
    inputs = generate_dataset(spec, 1000).inputs
    found = compute_features(spec, inputs, ("torque_nm", "power", "twf_tool_wear_min_above"))
    columns = input_columns(spec, inputs)
    expected = columns["torque_nm"] * columns["rotational_speed_rpm"] * np.pi / 30
    np.testing.assert_array_equal(found[:, 0], columns["torque_nm"])
    np.testing.assert_allclose(found[:, 1], expected)
    np.testing.assert_allclose(found[:, 2], 200 - columns["tool_wear_min"])


@pytest.mark.parametrize("name", ["raw", "derived", "limits", "squashed_4"])
def test_scaled_features_are_of_one_size(spec: MachineSpec, name: str) -> None:
    (chosen,) = (features for features in feature_sets(spec) if features.name == name)
    features = compute_features(spec, generate_dataset(spec, 1000).inputs, chosen.columns)
    scaled = build_scaling(chosen.sharpness).fit_transform(features)
    assert scaled.shape == (1000, len(chosen.columns))
    if chosen.sharpness is None:
        np.testing.assert_allclose(scaled.std(axis=0), 1.0)
    else:
        assert np.abs(scaled).max() <= 1.0


def test_a_squashed_limit_stays_at_zero(spec: MachineSpec) -> None:
    (chosen,) = (features for features in feature_sets(spec) if features.name == "squashed_4")
    inputs = generate_dataset(spec, 1000).inputs
    plain = compute_features(spec, inputs, chosen.columns)
    squashed = build_scaling(chosen.sharpness).fit_transform(plain)
    assert (np.sign(plain) == np.sign(squashed)).all()


def test_features_of_many_rows_are_computed_as_they_are_asked_for_and_are_the_same(
    spec: MachineSpec,
) -> None:
    few = generate_dataset(spec, 1000).inputs
    many = np.resize(few, (features_module._HELD_ROWS + 1, few.shape[1]))
    chosen, positions = feature_sets(spec)[0], np.array([5, 3, 70])
    held = FeatureTable(spec, few).rows(chosen, positions)
    computed = FeatureTable(spec, many).rows(chosen, positions)
    assert isinstance(held, np.ndarray)
    assert not isinstance(computed, np.ndarray)
    assert len(held) == len(computed) == 3
    np.testing.assert_array_equal(held, computed[:])
    np.testing.assert_array_equal(held[[2, 0]], computed[np.array([2, 0])])
