from pathlib import Path

from presagio.training.card import write_card
from presagio.training.curves import draw_curves
from presagio.training.train import TrainedModel


def test_the_card_says_what_the_model_is(trained: TrainedModel) -> None:
    card = trained.card
    assert card["data"]["sha256"] == trained.dataset.sha256
    assert card["data"]["test_rows"] == 600
    plans = trained.result.alarm.plans
    assert [d["label"] for d in card["model"]["detectors"]] == [plan.label for plan in plans]
    assert card["test"]["f1"] == trained.judgement.test.f1
    assert card["baseline"]["f1"] == trained.judgement.baseline.f1
    assert "scikit-learn" in card["versions"]
    assert set(card["test_by_category"]) == {"type L", "type M", "type H"}
    assert set(card["search"]["features"]["machine_failure"]) == {
        "squashed_4", "squashed_16", "beyond", "limits", "derived", "raw",
    }  # fmt: skip


def test_the_card_is_a_page_too(trained: TrainedModel, tmp_path: Path) -> None:
    curves = draw_curves(
        tmp_path, trained.split.test.target, trained.said.score, trained.said.probability,
        trained.said.label,
    )  # fmt: skip
    page = write_card(tmp_path / "card.html", trained.card, curves).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(curves) == 4
    assert page.startswith("<!doctype html>")
    assert trained.dataset.sha256 in page
    assert f"{trained.judgement.test.f1:.4g}" in page


def test_text_in_a_card_is_text_on_the_page(trained: TrainedModel, tmp_path: Path) -> None:
    card = {**trained.card, "machine": "<script>alert(1)</script>"}
    page = write_card(tmp_path / "card.html", card).read_text(encoding="utf-8")
    assert "<script>" not in page
