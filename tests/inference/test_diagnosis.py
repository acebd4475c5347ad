"""Why an answer is what it is: held against brute force, and against the model itself."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from presagio.inference.diagnosis import explain, minutes_left, smallest_change
from presagio.inference.predictor import Predictor, fallback_folder, load_predictor
from presagio.inference.shapley import attribute
from presagio.machine.limits import signed_distances
from presagio.machine.spec import MachineSpec
from tests.inference.broken import make_artifact, manifest

pytestmark = pytest.mark.unit

_HEALTHY = {"rotational_speed_rpm": 1550.0, "torque_nm": 38.0, "tool_wear_min": 20.0}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor(fallback_folder())


def _row(predictor: Predictor, **changes: float) -> NDArray[np.float64]:
    rows = predictor.arrange([predictor.artifact.spec.example | changes])
    return rows.reshape(-1)


_READINGS = st.fixed_dictionaries(
    {
        "airtemperature_k": st.floats(295, 305),
        "process_temperature_k": st.floats(305, 314),
        "rotational_speed_rpm": st.floats(1200, 2800),
        "torque_nm": st.floats(5, 75),
        "tool_wear_min": st.floats(0, 250),
    }
)


@settings(deadline=None, max_examples=25)
@given(reading=_READINGS)
def test_base_and_contributions_add_up_to_the_probability(reading: dict[str, float]) -> None:
    predictor = load_predictor(fallback_folder())
    row = _row(predictor, **reading)
    parts = attribute(predictor, row)
    assert parts is not None
    total = parts.base + sum(parts.contributions.values())
    assert total == pytest.approx(predictor.predict([row]).probability[0], abs=1e-9)


def test_contributions_are_the_mean_gain_over_all_orders(predictor: Predictor) -> None:
    spec = predictor.artifact.spec
    row, background = _row(predictor), np.array(predictor.artifact.manifest.background)
    players = {name: [i] for i, name in enumerate(spec.feature_names)} | {"type": [5, 6]}

    def worth(members: tuple[str, ...]) -> float:
        rows = background.copy()
        for name in members:
            rows[:, players[name]] = row[players[name]]
        return float(predictor.predict(rows).probability.mean())

    gains = dict.fromkeys(players, 0.0)
    orders = list(permutations(players))
    known: dict[frozenset[str], float] = {}
    for order in orders:
        for i, name in enumerate(order):
            before, after = frozenset(order[:i]), frozenset(order[: i + 1])
            for members in (before, after):
                if members not in known:
                    known[members] = worth(tuple(members))
            gains[name] += (known[after] - known[before]) / len(orders)
    parts = attribute(predictor, row)
    assert parts is not None
    assert parts.contributions == pytest.approx(gains, abs=1e-9)


def test_a_model_without_background_has_no_contributions(
    predictor: Predictor, tmp_path: Path
) -> None:
    bare = load_predictor(make_artifact(tmp_path / "artifact", manifest(background=[])))
    assert attribute(bare, _row(predictor)) is None
    assert explain(bare, _row(predictor), alarm=False).limits


def test_minutes_are_those_at_which_the_limit_is_reached(predictor: Predictor) -> None:
    spec = predictor.artifact.spec
    row = _row(predictor, tool_wear_min=100.0, torque_nm=50.0)
    left = minutes_left(spec, row)
    # Quality L: 11,000 minNm / 50 Nm = 220 min of wear; tools wear out from 200 on.
    assert left == pytest.approx({"osf_strain_above": 120.0, "twf_tool_wear_min_above": 100.0})
    then = row.copy()
    then[4] += left["osf_strain_above"]
    distances = signed_distances(spec, dict(zip(spec.input_names, then[:, None], strict=True)))
    assert distances["osf_strain_above"][0] == pytest.approx(0.0, abs=1e-6)


def test_a_limit_that_is_broken_has_no_minutes_left(predictor: Predictor) -> None:
    left = minutes_left(predictor.artifact.spec, _row(predictor))
    assert left == {"osf_strain_above": 0.0, "twf_tool_wear_min_above": 0.0}


def test_what_never_wears_has_no_minutes(spec: MachineSpec, predictor: Predictor) -> None:
    steady = spec.model_copy(
        update={"features": tuple(f.model_copy(update={"per_minute": None}) for f in spec.features)}
    )
    assert minutes_left(steady, _row(predictor)) == {}


@settings(deadline=None, max_examples=40)
@given(torque=st.floats(66, 76), wear=st.floats(0, 120))
def test_the_smallest_change_clears_the_alarm_and_half_of_it_does_not(
    torque: float, wear: float
) -> None:
    predictor = load_predictor(fallback_folder())
    # Much torque at this speed is more power than the machine stands.
    row = _row(predictor, rotational_speed_rpm=1500.0, torque_nm=torque, tool_wear_min=wear)
    if not predictor.predict([row]).label[0]:
        return
    change = smallest_change(predictor, row)
    assert change is not None
    place = predictor.artifact.spec.input_names.index(change.feature)
    changed, half = row.copy(), row.copy()
    changed[place] = change.to
    half[place] = (change.now + change.to) / 2
    assert not predictor.predict([changed]).label[0]
    assert predictor.predict([half]).label[0]


def test_the_weather_is_not_among_what_can_be_changed(predictor: Predictor) -> None:
    row = _row(predictor, torque_nm=40.0, rotational_speed_rpm=1300.0, tool_wear_min=10.0)
    assert predictor.predict([row]).label[0]
    change = smallest_change(predictor, row)
    assert change is not None
    assert change.feature != "airtemperature_k"


def test_an_explanation_names_the_mode(predictor: Predictor) -> None:
    heat = _row(predictor, torque_nm=40.0, rotational_speed_rpm=1300.0, tool_wear_min=10.0)
    assert explain(predictor, heat, alarm=True).mode == "hdf"
    power = _row(predictor, torque_nm=75.0, rotational_speed_rpm=1500.0, tool_wear_min=10.0)
    assert explain(predictor, power, alarm=True).mode == "pwf"
    calm = explain(predictor, _row(predictor, **_HEALTHY), alarm=False)
    assert calm.clearing is None
