"""How good a model is on rows that no choice has seen."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Figures of the failure class at the model's threshold, and over all thresholds.

    Accuracy is left out on purpose: never to warn is right 96.6 % of the time on the AI4I data.
    """

    precision: float
    recall: float
    f1: float
    mcc: float
    average_precision: float
    roc_auc: float
    brier: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    def as_metrics(self, prefix: str) -> dict[str, float]:
        """Return the figures under names such as ``test_f1``."""
        return {f"{prefix}_{name}": float(value) for name, value in asdict(self).items()}


def evaluate(target: Bools, score: Floats, probability: Floats, label: Bools) -> Figures:
    """Judge predictions; every array has shape ``(n,)``."""
    negatives, positives = metrics.confusion_matrix(target, label, labels=[False, True])
    return Figures(
        precision=float(metrics.precision_score(target, label, zero_division=0.0)),
        recall=float(metrics.recall_score(target, label, zero_division=0.0)),
        f1=float(metrics.f1_score(target, label, zero_division=0.0)),
        mcc=float(metrics.matthews_corrcoef(target, label)),
        average_precision=float(metrics.average_precision_score(target, score)),
        roc_auc=float(metrics.roc_auc_score(target, score)),
        brier=float(metrics.brier_score_loss(target, probability)),
        true_positives=int(positives[1]),
        false_positives=int(negatives[1]),
        false_negatives=int(positives[0]),
        true_negatives=int(negatives[0]),
    )


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
