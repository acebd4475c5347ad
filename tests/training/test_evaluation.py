from pathlib import Path

import numpy as np
import pytest

from presagio.training.evaluation import draw_curves, evaluate

TARGET = np.array([False] * 96 + [True] * 4)


def test_figures_of_a_known_case() -> None:
    score = np.linspace(-1, 1, 100)
    figures = evaluate(TARGET, score, (score + 1) / 2, score > score[93])
    assert (figures.true_positives, figures.false_positives) == (4, 2)
    assert (figures.false_negatives, figures.true_negatives) == (0, 94)
    assert figures.precision == pytest.approx(4 / 6)
    assert figures.recall == 1.0
    assert figures.f1 == pytest.approx(0.8)
    assert figures.average_precision == figures.roc_auc == pytest.approx(1.0)


def test_never_to_warn_is_worth_nothing() -> None:
    zero = np.zeros(100)
    figures = evaluate(TARGET, zero, zero, zero.astype(bool))
    assert (figures.precision, figures.recall, figures.f1, figures.mcc) == (0, 0, 0, 0)


def test_metrics_carry_their_prefix() -> None:
    zero = np.zeros(100)
    metrics = evaluate(TARGET, zero, zero, zero.astype(bool)).as_metrics("test")
    assert metrics["test_true_negatives"] == 96
    assert "test_average_precision" in metrics
    assert "accuracy" not in "".join(metrics)


def test_curves_are_pictures(tmp_path: Path) -> None:
    score = np.linspace(-1, 1, 100)
    files = draw_curves(tmp_path, TARGET, score, (score + 1) / 2, score > 0.9)
    assert {file.stem for file in files} == {
        "precision_recall", "roc", "confusion_matrix", "reliability",
    }  # fmt: skip
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
