import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from presagio.training.evaluation.metrics import (
    Interval,
    ModeMetrics,
    bootstrap_intervals,
    evaluate,
    mean_intervals,
    metrics_by_mode,
)

TARGET = np.array([False] * 96 + [True] * 4)


def test_metrics_of_a_known_case() -> None:
    score = np.linspace(-1, 1, 100)
    found = evaluate(TARGET, score, (score + 1) / 2, score > score[93])
    assert (found.true_positives, found.false_positives) == (4, 2)
    assert (found.false_negatives, found.true_negatives) == (0, 94)
    assert found.precision == pytest.approx(4 / 6)
    assert found.recall == 1.0
    assert found.f1 == pytest.approx(0.8)
    assert found.average_precision == found.roc_auc == pytest.approx(1.0)


def test_the_always_negative_baseline_is_worth_nothing() -> None:
    zero = np.zeros(100)
    found = evaluate(TARGET, zero, zero, zero.astype(bool))
    assert (found.precision, found.recall, found.f1, found.mcc) == (0, 0, 0, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=60))
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    target = np.array([failed for failed, _ in rows])
    score = np.array([float(value) for _, value in rows])
    label, probability = score > 0, 1 / (1 + np.exp(-score))
    assume(target.any() and not target.all())
    found = evaluate(target, score, probability, label)
    known = metrics.precision_recall_fscore_support(
        target, label, average="binary", zero_division=0.0
    )
    assert (found.precision, found.recall, found.f1) == pytest.approx(known[:3])
    assert found.mcc == pytest.approx(metrics.matthews_corrcoef(target, label))
    assert found.brier == pytest.approx(metrics.brier_score_loss(target, probability))


def test_metrics_carry_their_prefix() -> None:
    zero = np.zeros(100)
    named = evaluate(TARGET, zero, zero, zero.astype(bool)).as_metrics("test")
    assert named["test_true_negatives"] == 96
    assert "test_average_precision" in named
    assert "accuracy" not in "".join(named)


def test_intervals_hold_the_metric() -> None:
    score = np.linspace(-1, 1, 100)
    label = score > score[93]
    found = bootstrap_intervals(TARGET, score, label)
    assert found["f1"].mean == pytest.approx(0.8)
    assert found["f1"].low <= 0.8 <= found["f1"].high
    assert found["recall"] == Interval(1.0, 1.0, 1.0)


def test_intervals_by_unit_are_those_of_rows_where_each_unit_has_one() -> None:
    rng = np.random.default_rng(0)
    target = rng.random(2000) < 0.2
    score = target + rng.normal(size=2000)
    label = score > 1.0
    rows = bootstrap_intervals(target, score, label)
    units = bootstrap_intervals(target, score, label, np.arange(2000).astype(str))
    for name, by_row in rows.items():
        assert units[name].mean == by_row.mean
        assert units[name].low == pytest.approx(by_row.low, abs=0.02)
        assert units[name].high == pytest.approx(by_row.high, abs=0.02)


def test_intervals_by_unit_know_that_rows_of_one_are_alike() -> None:
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(20), 100)
    target = np.repeat(rng.random(20) < 0.5, 100)
    score = target + np.repeat(rng.normal(size=20), 100) + 0.1 * rng.normal(size=2000)
    label = score > 0.5
    by_row, by_unit = (
        bootstrap_intervals(target, score, label, of)["f1"] for of in (None, units.astype(str))
    )
    assert by_unit.high - by_unit.low > 4 * (by_row.high - by_row.low)


def test_a_mean_over_folds_has_an_interval() -> None:
    score = np.linspace(-1, 1, 100)
    folds = [evaluate(TARGET, score, (score + 1) / 2, score > score[i]) for i in (90, 93, 95)]
    found = mean_intervals(folds)["f1"]
    assert found.mean == pytest.approx(np.mean([fold.f1 for fold in folds]))
    assert found.low < found.mean < found.high


def test_a_group_without_a_failure_has_metrics() -> None:
    none, zero = np.zeros(5, dtype=bool), np.zeros(5)
    found = evaluate(none, zero, zero, none)
    assert (found.f1, found.average_precision, found.roc_auc) == (0.0, 0.0, 0.5)


def test_named_modes_are_counted() -> None:
    labels = {
        "machine_failure": np.array([True, True, True, False]),
        "hdf": np.array([True, True, False, False]),
        "pwf": np.array([True, False, True, False]),
    }
    alarm, named = np.array([True, True, False, True]), np.array(["pwf", "pwf", "pwf", "pwf"])
    found = metrics_by_mode(labels, alarm, named)
    # The first failure has both modes, and either is a right answer.
    assert found["hdf"] == ModeMetrics(failures=2, found=2, named=1)
    assert found["pwf"] == ModeMetrics(failures=2, found=1, named=1)
