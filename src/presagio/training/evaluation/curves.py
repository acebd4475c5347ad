"""Pictures of how good a model is."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

from presagio.training.evaluation.metrics import Bools, Floats


def _draw(path: Path, draw: Callable[[Figure], None]) -> Path:
    # The object interface: no global state, no display, safe in threads and servers.
    figure = Figure(figsize=(5, 4), layout="constrained")
    draw(figure)
    figure.savefig(path, dpi=100)
    return path


def draw_curves(
    folder: Path, target: Bools, score: Floats, probability: Floats, label: Bools
) -> list[Path]:
    """Draw precision-recall, ROC, confusion matrix and reliability as PNG files.

    Returns
    -------
    list of Path
        The files, in the folder given.
    """

    def precision_recall(figure: Figure) -> None:
        axes = figure.subplots()
        metrics.PrecisionRecallDisplay.from_predictions(target, score, ax=axes, name="SVM")

    def roc(figure: Figure) -> None:
        metrics.RocCurveDisplay.from_predictions(target, score, ax=figure.subplots(), name="SVM")

    def confusion(figure: Figure) -> None:
        metrics.ConfusionMatrixDisplay.from_predictions(
            target, label, display_labels=["healthy", "failure"], ax=figure.subplots(), cmap="Blues"
        )

    def reliability(figure: Figure) -> None:
        axes = figure.subplots()
        edges = np.linspace(0.0, 1.0, 11)
        bins = np.clip(np.digitize(probability, edges) - 1, 0, 9)
        filled = [i for i in range(10) if np.any(bins == i)]
        axes.plot([0, 1], [0, 1], "k:", label="perfect")
        axes.plot(
            [probability[bins == i].mean() for i in filled],
            [target[bins == i].mean() for i in filled],
            "o-",
            label="SVM, calibrated",
        )
        axes.set(xlabel="Predicted probability", ylabel="Share of failures")
        axes.legend()

    plots = {
        "precision_recall": precision_recall,
        "roc": roc,
        "confusion_matrix": confusion,
        "reliability": reliability,
    }
    with mpl.rc_context({"font.size": 9}):
        return [_draw(folder / f"{name}.png", draw) for name, draw in plots.items()]
