import numpy as np
import pytest

from presagio.inference.alarm_rule import alarms_on
from presagio.machine.learning import AlarmRule
from presagio.training.datasets.lives import Series, label_by_horizon
from presagio.training.evaluation.events import evaluate_events
from presagio.training.evaluation.example_lives import example_lives, lead_times


def _said(text: str) -> np.ndarray:
    return np.array([mark == "x" for mark in text])


@pytest.mark.parametrize(
    ("said", "expected", "confirm", "quiet"),
    [
        ("..x..x..", "........", (2, 3), 2),
        (".xx.....", "..xxx...", (2, 3), 3),
        (".x.x.x..", "...xxxx.", (2, 3), 2),
        ("x.......", "x.......", (1, 1), 1),
        ("xx", ".x", (2, 2), 1),
    ],
)
def test_an_alarm_is_confirmed_and_stays_until_it_is_quiet(
    said: str, expected: str, confirm: tuple[int, int], quiet: int
) -> None:
    rule = AlarmRule(confirm=confirm, quiet=quiet)
    found = alarms_on(_said(said), np.zeros(len(said), dtype=np.int64), rule)
    assert "".join("x" if on else "." for on in found) == expected


def test_a_life_begins_without_an_alarm() -> None:
    lives = np.array([0, 0, 1, 1])
    assert alarms_on(_said("xxx."), lives, AlarmRule()).tolist() == [False, True, False, False]


def test_failures_are_caught_missed_or_alarmed_too_early() -> None:
    # Three engines run to failure in 20 cycles, a fourth one is seen for 20 and does not fail.
    said = {
        "caught": "...............xxxxx",
        "early": ".xxxxxxxxxxxxxxxxxxx",
        "missed": ".............x......",
        "lives": "....xxx.............",
    }
    units = np.repeat(list(said), 20).astype(object)
    times = np.tile(np.arange(20), 4)
    failed = (times == 19) & (units != "lives")
    labels = label_by_horizon(units, times, failed, 5)
    found = evaluate_events(
        labels.series, _said("".join(said.values())), AlarmRule(quiet=2), horizon=5.0
    )
    assert (found.failures, found.caught, found.too_early, found.missed) == (3, 1, 1, 1)
    assert (found.lead_p10, found.lead_p50, found.lead_p90) == (3.0, 3.0, 3.0)
    # The early one, and that of the engine which lives.
    assert found.false_alarms == 2
    assert found.false_alarms_per_1000 == pytest.approx(1000 * 2 / (3 * 13 + 19))
    assert found.rises_per_life == 1.0


def test_nothing_to_evaluate_is_nothing() -> None:
    labels = label_by_horizon(np.empty(0, object), np.empty(0), np.empty(0, bool), 5)
    found = evaluate_events(labels.series, np.empty(0, bool), AlarmRule(), horizon=5.0)
    assert (found.failures, found.lead_p50, found.false_alarms_per_1000) == (0, None, None)


def test_example_lives_go_from_an_early_alarm_to_none() -> None:
    leads = [30, 20, 10, 0, None]
    lives = np.repeat(np.arange(5), 100)
    left = np.tile(np.arange(99.0, -1.0, -1.0), 5)
    label = np.concatenate([
        left[:100] <= lead if lead is not None else np.zeros(100, dtype=bool) for lead in leads
    ])  # fmt: skip
    series = Series(lives.astype(str), 100 - left, lives, left)
    rule = AlarmRule(confirm=(1, 1))
    assert lead_times(series, label, rule, day=1.0) == [0.0, 10.0, 20.0, 30.0, None]
    found = example_lives(series, label.astype(float), label, rule, day=2.0)
    assert len(found) == 4
    assert (found[0]["unit"], found[-1]["unit"]) == ("0", "4")
    assert found[0]["left"][0] == 99 / 2
    first = found[0]["alarm"].index(True)
    assert (found[0]["left"][first], found[0]["probability"][first]) == (15.0, 1.0)
    assert not any(found[-1]["alarm"])
