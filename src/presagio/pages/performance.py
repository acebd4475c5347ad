"""How good a model is: sections of the model card, the model first, then its baselines."""

from collections.abc import Mapping

from presagio.pages.charts import curve
from presagio.pages.elements import Cell, Number, section, table, text
from presagio.pages.values import ABSENT, Card, is_number, mapping, points
from presagio.pages.writing import Writing, mark

METRICS = {
    "precision": mark("Precision"), "recall": mark("Recall"), "f1": "F1", "mcc": "MCC",
    "average_precision": mark("Average precision"),
}  # fmt: skip
COST = mark("Cost per 1,000 readings")
_BASELINE = mark("Baseline: %(name)s")
_CURVES = (
    ("precision_recall", mark("Precision and recall; the dot is the threshold"),
     mark("Recall"), mark("Precision")),
    ("roc", mark("ROC; the dashed line is chance"), mark("False positive rate"), mark("Recall")),
    ("reliability", mark("Calibration; the dashed line is perfect"),
     mark("Predicted probability"), mark("Share of failures")),
)  # fmt: skip


def comparison(card: Card, say: Writing) -> str:
    """Return the section that compares the model with its baselines."""
    test, cost = mapping(card, "test"), mapping(card, "test_cost_per_1000")
    if not test:
        return ""
    always_negative = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "mcc": 0.0}
    models = [(say.phrase("This model"), test, cost.get("model"))]
    if baseline := mapping(card, "baseline"):
        name = say.phrase("Reference model (linear SVM on oversampled rows)")
        models.append((name, baseline, cost.get("baseline")))
    # Cards of versions that were trained before 0.2 have other names for these.
    if (never := cost.get("always_negative", cost.get("never_to_warn"))) is not None:
        models.append((say.phrase("Always-negative baseline"), always_negative, never))
    models += [
        (say.phrase(_BASELINE, name=name), metrics, None)
        for name, metrics in (mapping(card, "baselines") or mapping(card, "rivals")).items()
        if isinstance(metrics, Mapping)
    ]
    rows: list[list[Cell]] = [
        [name, *(say.number(metrics.get(metric)) for metric in METRICS), say.number(paid, 1)]
        for name, metrics, paid in models
    ]
    titles = ("", *say.phrases(METRICS.values()), say.phrase(COST))
    return section(
        say.phrase("Performance on the held-out test set"), table(titles, rows, first=True),
        _intervals(card, say), _confusion(test, say),
    )  # fmt: skip


def _intervals(card: Card, say: Writing) -> str:
    intervals, cross = mapping(card, "test_intervals"), mapping(card, "cross_validation")

    def shown(found: Card) -> Cell:
        low, high = found.get("low"), found.get("high")
        if not (is_number(low) and is_number(high)):
            return Number(ABSENT)
        # An interval of a mean may reach beyond what a share can be.
        ends = say.fixed(max(low, 0), 3), say.fixed(min(high, 1), 3)
        return Number(say.phrase("%(low)s to %(high)s", low=ends[0], high=ends[1]))

    rows: list[list[Cell]] = [
        [say.phrase(title), shown(mapping(intervals, name)),
         say.number(mapping(cross, name).get("mean")), shown(mapping(cross, name))]
        for name, title in METRICS.items() if name in intervals
    ]  # fmt: skip
    titles = (
        say.phrase("This model"), say.phrase("95 % interval, test set"),
        say.phrase("Cross-validation, mean"), say.phrase("95 % interval"),
    )  # fmt: skip
    return table(titles, rows) if rows else ""


def _confusion(test: Card, say: Writing) -> str:
    if "true_positives" not in test:
        return ""

    def counted(title: str, *names: str) -> list[Cell]:
        return [title, *(say.number(test.get(name)) for name in names)]

    rows = [
        counted(say.phrase("Failure"), "true_positives", "false_negatives"),
        counted(say.phrase("No failure"), "false_positives", "true_negatives"),
    ]
    titles = (
        say.phrase("Readings by outcome"), say.phrase("Alarm"), say.phrase("No alarm"),
    )  # fmt: skip
    return table(titles, rows)


def curves(card: Card, say: Writing) -> str:
    """Return the section with the model's curves, of those that the card has."""
    found, test = mapping(card, "curves"), mapping(card, "test")
    recall, precision = test.get("recall"), test.get("precision")
    dot = (float(recall), float(precision)) if is_number(recall) and is_number(precision) else None
    drawn = []
    for name, title, x_title, y_title in _CURVES:
        if not (known := points(found.get(name))):
            continue
        is_threshold = name == "precision_recall"
        picture = curve(
            known, x_title=say.phrase(x_title), y_title=say.phrase(y_title),
            diagonal=not is_threshold, dots=name == "reliability",
            mark=dot if is_threshold else None, say=say,
        )  # fmt: skip
        drawn.append(f"<figure><h3>{text(say.phrase(title))}</h3>{picture}</figure>")
    body = f'<div class="charts">{"".join(drawn)}</div>' if drawn else ""
    return section(say.phrase("Curves"), body)


def groups(card: Card, say: Writing) -> str:
    """Return the section that says how good the model is by failure mode and by category."""
    modes = mapping(card, "modes")
    by_mode: list[list[Cell]] = [
        [
            str(modes.get(name, name)),
            *(say.number(found.get(count)) for count in ("failures", "found", "named")),
        ]
        for name, found in mapping(card, "test_by_mode").items() if isinstance(found, Mapping)
    ]  # fmt: skip
    by_category: list[list[Cell]] = [
        [str(name), *(say.number(found.get(metric)) for metric in METRICS)]
        for name, found in mapping(card, "test_by_category").items() if isinstance(found, Mapping)
    ]  # fmt: skip
    titles = (
        say.phrase("Failure mode"), say.phrase("Failures"), say.phrase("Found"),
        say.phrase("Named rightly"),
    )  # fmt: skip
    categories = (say.phrase("Category"), *say.phrases(METRICS.values()))
    return section(
        say.phrase("Held-out test set by group"),
        table(titles, by_mode) if by_mode else "",
        table(categories, by_category) if by_category else "",
    )
