"""What the card measures is what a loaded artifact answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from presagio.inference.diagnosis import explain
from presagio.inference.predictor import Predictor, load_predictor
from presagio.training.evaluation.evaluation import evaluate_model, predict
from presagio.training.evaluation.metrics import ModeMetrics
from presagio.training.export.parity import export_model
from presagio.training.search.shapes import Shape
from presagio.training.train import TrainedModel


def _named_by_answers(model: TrainedModel, predictor: Predictor) -> dict[str, ModeMetrics]:
    test = model.split.test
    alarm = predictor.predict(test.inputs).label
    named = np.array([explain(predictor, row, alarm=False).mode for row in test.inputs], object)
    had = {mode: test.labels[mode] & test.target for mode in [*test.labels][1:]}
    right = np.any([rows & (named == mode) for mode, rows in had.items()], axis=0)
    return {
        mode: ModeMetrics(
            int(rows.sum()), int((rows & alarm).sum()), int((rows & alarm & right).sum())
        )
        for mode, rows in had.items()
    }


@pytest.mark.parametrize("shape", ["single", "per_mode"])
def test_the_card_measures_the_modes_that_answers_name(
    trained: TrainedModel, tmp_path: Path, shape: Shape
) -> None:
    split, alarm = trained.split, trained.result.shapes[shape].alarm
    result = replace(trained.result, alarm=alarm, shape=shape)
    prediction = predict(alarm, split.test)
    found = evaluate_model(trained.spec, split.train, split.test, result, prediction)
    model = replace(trained, result=result, prediction=prediction, evaluation=found)
    digest = export_model(model, tmp_path)
    assert found.by_mode == _named_by_answers(model, load_predictor(tmp_path, digest=digest))
    assert sum(mode.named for mode in found.by_mode.values()) > 0
