"""What the card measures is what a loaded artifact answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from presagio.inference.diagnosis import explain
from presagio.inference.predictor import Predictor, load_predictor
from presagio.training.evaluation.evaluation import judge
from presagio.training.evaluation.metrics import ModeFigures
from presagio.training.export.parity import export_model
from presagio.training.search.shapes import Shape
from presagio.training.train import TrainedModel


def _named_by_answers(model: TrainedModel, predictor: Predictor) -> dict[str, ModeFigures]:
    test = model.split.test
    rows = test.inputs.to_numpy(dtype=np.float64)
    alarm = predictor.predict(rows).label
    named = np.array([explain(predictor, row, alarm=False).mode for row in rows], dtype=object)
    failed = test.labels.iloc[:, 0].to_numpy(dtype=bool)
    had = {m: test.labels[m].to_numpy(dtype=bool) & failed for m in test.labels.columns[1:]}
    right = np.any([own & (named == mode) for mode, own in had.items()], axis=0)
    return {
        mode: ModeFigures(
            int(rows.sum()), int((rows & alarm).sum()), int((rows & alarm & right).sum())
        )
        for mode, rows in had.items()
    }


@pytest.mark.parametrize("shape", ["single", "per_mode"])
def test_the_card_measures_the_modes_that_answers_name(
    trained: TrainedModel, tmp_path: Path, shape: Shape
) -> None:
    result = trained.result
    alarm = result.shapes[shape].alarm
    result = replace(result, alarm=alarm, shape=shape)
    model = replace(trained, result=result)
    score = alarm.decision_function(model.split.test.inputs)
    said = replace(
        model.said, score=score, probability=alarm.probability(score),
        label=score >= alarm.threshold_,
    )  # fmt: skip
    judgement = judge(model.spec, model.split.train, model.split.test, result)
    model = replace(model, said=said, judgement=judgement)
    digest = export_model(model, tmp_path)
    assert judgement.by_mode == _named_by_answers(model, load_predictor(tmp_path, digest=digest))
    assert sum(found.named for found in judgement.by_mode.values()) > 0
