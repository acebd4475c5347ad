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
    picture = Figure(figsize=(5, 4), layout="constrained")
    draw(picture)
    picture.savefig(path, dpi=100)
    return path


def draw_curves(
    folder: Path, target: Bools, score: Floats, probability: Floats, label: Bools
) -> list[Path]:
    """Draw precision-recall, ROC, confusion matrix and reliability as PNG files.

    Parameters
    ----------
    folder
        Where to.
    target, score, probability, label
        Of each row of the held-out test set, shape ``(n,)``.

    Returns
    -------
    list of Path
        The files, in the folder given.
    """

    def precision_recall(picture: Figure) -> None:
        axes = picture.subplots()
        metrics.PrecisionRecallDisplay.from_predictions(target, score, ax=axes, name="SVM")

    def roc(picture: Figure) -> None:
        metrics.RocCurveDisplay.from_predictions(target, score, ax=picture.subplots(), name="SVM")

    def confusion(picture: Figure) -> None:
        metrics.ConfusionMatrixDisplay.from_predictions(
            target,
            label,
            display_labels=["healthy", "failure"],
            ax=picture.subplots(),
            cmap="Blues",
        )

    def reliability(picture: Figure) -> None:
        axes = picture.subplots()
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
