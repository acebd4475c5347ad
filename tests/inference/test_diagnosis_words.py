"""A diagnosis is said in words that can be translated; hostile text in it does no harm."""

import math

import numpy as np
import pytest

from presagio.inference.diagnosis import explain
from presagio.inference.diagnosis_words import describe
from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.machine.shown_units import ShownUnits
from presagio.machine.spec import MachineSpec
from presagio.machine.units import Unit
from presagio.sentences import Measured, Sentence
from tests.engines import engines


def _texts(spec: MachineSpec, **diagnosis: object) -> list[str]:
    return [str(sentence) for sentence in describe(spec, diagnosis).all]


def test_it_says_what_is_expected_what_clears_it_and_why(spec: MachineSpec) -> None:
    found = _texts(
        spec,
        mode="hdf",
        clearing_change={
            "feature": "rotational_speed_rpm", "now": 1310.0, "to": 1390.0, "unit": "rpm",
        },
        limits=[
            {"limit": "hdf_temperature_difference_below", "mode": "hdf", "distance": -0.5,
             "unit": "K", "minutes_left": None},
            {"limit": "pwf_power_above", "mode": "pwf", "distance": 300.0, "unit": "W",
             "minutes_left": None},
            {"limit": "osf_strain_above", "mode": "osf", "distance": 800.0, "unit": "minNm",
             "minutes_left": 12.6},
            {"limit": "twf_tool_wear_min_above", "mode": "twf", "distance": 30.0, "unit": "min",
             "minutes_left": 300.0},
        ],
        contributions={"torque_nm": 0.004, "rotational_speed_rpm": 0.61, "type_l": 0.02},
    )  # fmt: skip
    assert found == [
        "Heat dissipation failure is expected.",
        "Raise Rotational speed from 1,310 rpm to 1,390 rpm: that clears it.",
        "Process over air temperature is 0.5 °C below its limit (Heat dissipation failure).",
        "Strain reaches its limit in 13 min of work at this load (Overstrain failure).",
        "Tool wear reaches its limit in 5 h of work at this load (Tool wear failure).",
        "Rotational speed adds +61 percentage points to the probability.",
        "Quality of the product L adds +2 percentage points to the probability.",
    ]


def test_readings_are_in_the_units_that_people_see_and_differences_have_no_zero(
    spec: MachineSpec,
) -> None:
    def words(shown: ShownUnits | None = None, unit: str = "K") -> list[str]:
        diagnosis = {
            "clearing_change": {
                "feature": "process_temperature_k", "now": 310.9, "to": 312.25, "unit": unit,
            },
            "changes": [{"feature": "airtemperature_k", "by": 2.5, "unit": unit, "over": 3.0}],
        }  # fmt: skip
        return [str(sentence) for sentence in describe(spec, diagnosis, shown=shown).all[1:]]

    celsius = "Raise Process temperature from 37.75 °C to 39.1 °C: that clears it."
    assert words() == [celsius, "Air temperature has risen by 2.5 °C in 3."]
    # A plant that prefers another unit changes nothing of what the spec says.
    assert words(ShownUnits(spec, {"K": Unit("°F", "temperature", 5 / 9)}))[0] == celsius
    # What was kept under another spec is shown as it was kept.
    assert words(unit="°F")[0] == celsius.replace("37.75 °C", "310.9 °F").replace(
        "39.1 °C", "312.2 °F"
    )


def test_a_series_says_how_readings_changed_and_that_none_can_be_taken_back() -> None:
    found = _texts(
        engines(), mode=None, clearing_change=None, contributions={"sensor_2": 0.3},
        changes=[
            {"feature": "sensor_2", "by": 1.5, "unit": "", "over": 30.0, "over_unit": "cycle"},
            {"feature": "sensor_7", "by": -2.0, "unit": "", "over": 30.0, "over_unit": "cycle"},
            {"feature": "sensor_8", "by": 0.0, "unit": "", "over": 30.0, "over_unit": "cycle"},
        ],
    )  # fmt: skip
    assert found == [
        "A failure is expected within 30 cycle.",
        "No change of one reading clears it: the readings before count too.",
        "sensor_2 adds +30 percentage points to the probability.",
        "sensor_2 has risen by 1.5 in 30 cycle.",
        "sensor_7 has fallen by 2 in 30 cycle.",
    ]


@pytest.mark.parametrize(
    "diagnosis",
    [
        {},
        {"mode": 3, "limits": "none", "contributions": [1], "changes": {"by": 1}},
        {"limits": [None, {"limit": "hdf_temperature_difference_below", "distance": "x"}]},
        {"clearing_change": {"feature": "torque_nm", "now": math.nan, "to": 3.0, "unit": 4}},
        {"contributions": {"torque_nm": math.inf, "x": True}},
    ],
)
def test_what_is_of_another_kind_is_left_out(
    spec: MachineSpec, diagnosis: dict[str, object]
) -> None:
    found = _texts(spec, **diagnosis)
    assert found[0] == "A failure is expected."
    assert len(found) <= 2


def test_names_of_what_is_not_known_are_shown_and_never_take_part_in_the_text(
    spec: MachineSpec,
) -> None:
    name = "%(mode)s %s {mode.__class__} <script>"
    found = _texts(spec, mode=name, contributions={name: 0.5})
    assert found == [
        f"{name} is expected.",
        f"{name} adds +50 percentage points to the probability.",
    ]


def test_a_sentence_is_written_in_another_language() -> None:
    sentence = Sentence(
        "Raise %(feature)s from %(now)s to %(to)s: that clears it.",
        {"feature": "x", "now": Measured(1.5, "K"), "to": Measured(2.5, "K")},
    )
    written = sentence.written(
        lambda text: f"¡{text}!",
        lambda value: f"{value.value}".replace(".", ",") if isinstance(value, Measured) else "X",
    )  # fmt: skip
    assert written == "¡Raise X from 1,5 to 2,5: that clears it.!"


def test_an_answer_of_the_shipped_model_is_said_whole(spec: MachineSpec) -> None:
    predictor = load_predictor(fallback_folder())
    values = {**spec.example, "tool_wear_min": 50.0, "torque_nm": 45.0}
    found = explain(predictor, np.array(predictor.values(values)), alarm=True)
    assert found.clearing is not None
    words = describe(
        spec, {"mode": found.mode, "clearing_change": vars(found.clearing),
               "limits": [{"limit": each.name, **vars(each)} for each in found.limits]},
    )  # fmt: skip
    assert words.clearing is not None
    assert str(words.clearing).endswith("that clears it.")
    assert isinstance(words.clearing.values["to"], Measured)
    assert words.limits
