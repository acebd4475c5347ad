import json
from pathlib import Path

import numpy as np
import pytest

from presagio.training.evaluation.card import write_card
from presagio.training.evaluation.curve_points import curve_points
from presagio.training.train import TrainedModel


def test_the_card_says_what_the_model_is(trained: TrainedModel) -> None:
    card = trained.card
    assert card["data"]["sha256"] == trained.dataset.sha256
    assert card["data"]["test_rows"] == 600
    plans = trained.result.alarm.plans
    assert [d["label"] for d in card["model"]["detectors"]] == [plan.label for plan in plans]
    assert card["test"]["f1"] == trained.evaluation.test.f1
    assert card["baseline"]["f1"] == trained.evaluation.reference.f1
    assert "scikit-learn" in card["versions"]
    assert set(card["test_by_category"]) == {"type L", "type M", "type H"}
    assert set(card["search"]["features"]["machine_failure"]) == {
        "squashed_4", "squashed_16", "beyond", "limits", "derived", "raw",
    }  # fmt: skip


def test_the_card_is_a_page_too(trained: TrainedModel, tmp_path: Path) -> None:
    page = write_card(tmp_path / "card.html", trained.card).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") == 3
    assert trained.dataset.sha256 in page
    assert f"{trained.evaluation.test.f1:.3f}" in page


def test_the_curves_go_through_the_models_own_metrics(trained: TrainedModel) -> None:
    curves = trained.card["curves"]
    assert json.loads(json.dumps(curves)) == curves
    assert all(len(points) <= 60 for points in curves.values())
    assert curves["roc"][0] == [0.0, 0.0]
    assert curves["roc"][-1] == [1.0, 1.0]
    # The area below the few points is that below all.
    x, y = np.array(curves["roc"]).T
    assert float(np.trapezoid(y, x)) == pytest.approx(trained.evaluation.test.roc_auc, abs=0.01)


def test_where_there_is_no_failure_there_are_no_curves() -> None:
    assert curve_points(np.zeros(9, bool), np.zeros(9), np.zeros(9)) == {}
