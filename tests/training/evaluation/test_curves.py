from pathlib import Path

import numpy as np

from presagio.training.evaluation.curves import draw_curves

TARGET = np.array([False] * 96 + [True] * 4)


def test_curves_are_pictures(tmp_path: Path) -> None:
    score = np.linspace(-1, 1, 100)
    files = draw_curves(tmp_path, TARGET, score, (score + 1) / 2, score > 0.9)
    assert {file.stem for file in files} == {
        "precision_recall", "roc", "confusion_matrix", "reliability",
    }  # fmt: skip
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
