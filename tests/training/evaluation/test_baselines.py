import importlib.util

from presagio.training.evaluation.baselines import baselines, evaluate_baselines
from presagio.training.train import TrainedModel


def test_every_baseline_is_evaluated_on_the_held_out_test_set(trained: TrainedModel) -> None:
    split = trained.split
    found = evaluate_baselines(trained.spec, split.train, split.test)
    assert list(found) == [baseline.name for baseline in baselines(trained.spec)]
    assert found["always negative"].f1 == 0.0
    assert found["random forest, limits"].f1 > 0.6
    for metrics in found.values():
        assert metrics.true_positives + metrics.false_negatives == split.test.target.sum()
    if importlib.util.find_spec("lightgbm"):
        assert {"LightGBM, limits", "LightGBM, raw"} <= set(found)
