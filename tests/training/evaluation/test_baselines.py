import importlib.util

from presagio.training.evaluation.baselines import judge_rivals, rivals
from presagio.training.train import TrainedModel


def test_every_rival_is_judged_on_the_rows_that_no_choice_has_seen(trained: TrainedModel) -> None:
    split = trained.split
    found = judge_rivals(trained.spec, split.train, split.test)
    assert list(found) == [rival.name for rival in rivals(trained.spec)]
    assert found["never to warn"].f1 == 0.0
    assert found["random forest, limits"].f1 > 0.6
    for figures in found.values():
        assert figures.true_positives + figures.false_negatives == split.test.target.sum()
    if importlib.util.find_spec("lightgbm"):
        assert {"LightGBM, limits", "LightGBM, raw"} <= set(found)
