"""The model card as a page: the model first, then its baselines, then what it was made of.

It is made from the card's JSON alone, by training and by the API. That may come from an older
version or from somebody else: what is missing or of another kind is left out, and breaks nothing.
"""

from collections.abc import Mapping, Sequence

from presagio.pages.charts import curve
from presagio.pages.elements import Cell, Number, fields, page, section, table, text
from presagio.pages.foreseen import ahead_of, foreseen
from presagio.pages.values import ABSENT, Card, is_number, mapping, number, points, words

_METRICS = {
    "precision": "Precision", "recall": "Recall", "f1": "F1", "mcc": "MCC",
    "average_precision": "Average precision",
}  # fmt: skip
_COUNTS = {
    "rows": "Rows", "failures": "Failures", "rejected_rows": "Rejected rows",
    "train_rows": "Rows of the training part", "test_rows": "Rows of the held-out test set",
    "test_failures": "Failures in the held-out test set",
}  # fmt: skip
_COSTS = {
    "missed_failure": "A missed failure", "false_alarm": "A false alarm",
    "inspection": "Every alarm (inspection)", "max_alarm_share": "Largest share of alarms",
}  # fmt: skip
_THIRD_PARTY = {"origin": "Origin", "run_by": "Run by", "sha256": "SHA-256"}
_SHAPES = {"per_mode": "one SVM detector per failure mode", "single": "one SVM for all failures"}
# So many inputs of a detector are named.
_MOST_COLUMNS = 30


def card_title(card: Card) -> str:
    """Return the title of a model card's page."""
    return f"Model card: {card.get('title') or card.get('machine') or 'unknown machine'}"


def _lead(card: Card) -> str:
    model, data, test = mapping(card, "model"), mapping(card, "data"), mapping(card, "test")
    shape = _SHAPES.get(str(model.get("shape")))
    found, missed = test.get("true_positives"), test.get("false_negatives")
    if shape is None or not (is_number(found) and is_number(missed)):
        return ""
    ahead = ahead_of(card)
    failures = f"readings within {ahead} of a failure" if ahead else "failures"
    return (
        f'<p class="lead">{text(shape[0].upper() + shape[1:])}, trained on '
        f"{number(data.get('train_rows')).text} readings. Of the {number(found + missed).text} "
        f"{text(failures)} among {number(data.get('test_rows')).text} held-out readings it finds "
        f"{number(found).text}, with {number(test.get('false_positives')).text} false alarms.</p>"
    )


def _columns(names: object) -> str:
    """Return the names of columns, of many the first ones."""
    if not isinstance(names, list) or len(names) <= _MOST_COLUMNS:
        return words(names)
    return f"{words(names[:_MOST_COLUMNS])} and {len(names) - _MOST_COLUMNS} more"


def _detectors(card: Card) -> str:
    modes = mapping(card, "modes")
    rows: list[list[Cell]] = []
    for detector in mapping(card, "model").get("detectors") or ():
        if not isinstance(detector, Mapping):
            continue
        label = str(detector.get("label"))
        parameters = dict(mapping(detector, "parameters"))
        kernel = str(parameters.pop("kernel", ""))
        moved = "kept" if detector.get("keeps_its_boundary") else "moved by the threshold"
        rows.append([
            str(modes.get(label, label)), str(detector.get("features")),
            _columns(detector.get("columns")), kernel, words(parameters), moved,
        ])  # fmt: skip
    titles = ("Detector", "Feature set", "Inputs", "Kernel", "Parameters", "Boundary")
    return table(titles, rows) if rows else ""


def _model(card: Card) -> str:
    model = mapping(card, "model")
    named = {
        "method": "Method", "support_vectors": "Support vectors", "threshold": "Threshold",
        "threshold_rule": "Threshold chosen by", "seed": "Seed",
    }  # fmt: skip
    shown = [(title, words(model[name])) for name, title in named.items() if name in model]
    return section("The model", _detectors(card), fields(shown) if shown else "")


def _comparison(card: Card) -> str:
    test, cost = mapping(card, "test"), mapping(card, "test_cost_per_1000")
    if not test:
        return ""
    always_negative = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "mcc": 0.0}
    models = [("This model", test, cost.get("model"))]
    if baseline := mapping(card, "baseline"):
        name = "Reference model (linear SVM on oversampled rows)"
        models.append((name, baseline, cost.get("baseline")))
    # Cards of versions that were trained before 0.2 have other names for these.
    if (never := cost.get("always_negative", cost.get("never_to_warn"))) is not None:
        models.append(("Always-negative baseline", always_negative, never))
    models += [
        (f"Baseline: {name}", metrics, None)
        for name, metrics in (mapping(card, "baselines") or mapping(card, "rivals")).items()
        if isinstance(metrics, Mapping)
    ]
    rows: list[list[Cell]] = [
        [name, *(number(metrics.get(metric)) for metric in _METRICS), number(paid, 1)]
        for name, metrics, paid in models
    ]
    return section(
        "Performance on the held-out test set",
        table(("", *_METRICS.values(), "Cost per 1,000 readings"), rows, first=True),
        _intervals(card),
        _confusion(test),
    )


def _intervals(card: Card) -> str:
    intervals, cross = mapping(card, "test_intervals"), mapping(card, "cross_validation")

    def shown(found: Card) -> Cell:
        low, high = found.get("low"), found.get("high")
        if not (is_number(low) and is_number(high)):
            return Number(ABSENT)
        # An interval of a mean may reach beyond what a share can be.
        return Number(f"{max(low, 0):.3f} to {min(high, 1):.3f}")

    rows: list[list[Cell]] = [
        [title, shown(mapping(intervals, name)), number(mapping(cross, name).get("mean")),
         shown(mapping(cross, name))]
        for name, title in _METRICS.items() if name in intervals
    ]  # fmt: skip
    titles = ("This model", "95 % interval, test set", "Cross-validation, mean", "95 % interval")
    return table(titles, rows) if rows else ""


def _confusion(test: Card) -> str:
    if "true_positives" not in test:
        return ""
    rows: list[list[Cell]] = [
        ["Failure", number(test.get("true_positives")), number(test.get("false_negatives"))],
        ["No failure", number(test.get("false_positives")), number(test.get("true_negatives"))],
    ]
    return table(("Readings by outcome", "Alarm", "No alarm"), rows)


def _curves(card: Card) -> str:
    curves, test = mapping(card, "curves"), mapping(card, "test")
    recall, precision = test.get("recall"), test.get("precision")
    mark = (float(recall), float(precision)) if is_number(recall) and is_number(precision) else None
    drawn = []
    for name, title, shown in (
        ("precision_recall", "Precision and recall; the dot is the threshold",
         {"x_title": "Recall", "y_title": "Precision", "mark": mark}),
        ("roc", "ROC; the dashed line is chance",
         {"x_title": "False positive rate", "y_title": "Recall", "diagonal": True}),
        ("reliability", "Calibration; the dashed line is perfect",
         {"x_title": "Predicted probability", "y_title": "Share of failures", "diagonal": True,
          "dots": True}),
    ):  # fmt: skip
        if found := points(curves.get(name)):
            drawn.append(f"<figure><h3>{text(title)}</h3>{curve(found, **shown)}</figure>")
    return section("Curves", f'<div class="charts">{"".join(drawn)}</div>') if drawn else ""


def _groups(card: Card) -> str:
    modes = mapping(card, "modes")
    by_mode: list[list[Cell]] = [
        [
            str(modes.get(name, name)),
            *(number(found.get(count)) for count in ("failures", "found", "named")),
        ]
        for name, found in mapping(card, "test_by_mode").items() if isinstance(found, Mapping)
    ]  # fmt: skip
    by_category: list[list[Cell]] = [
        [str(name), *(number(found.get(metric)) for metric in _METRICS)]
        for name, found in mapping(card, "test_by_category").items() if isinstance(found, Mapping)
    ]  # fmt: skip
    titles = ("Failure mode", "Failures", "Found", "Named rightly")
    return section(
        "Held-out test set by group",
        table(titles, by_mode) if by_mode else "",
        table(("Category", *_METRICS.values()), by_category) if by_category else "",
    )


def _carried(missing: Mapping[str, object]) -> Cell:
    """Say in which share of the rows the last value of the unit stands in, where that is wanted."""
    share = missing.get("carried")
    return Number(f"{share:.1%}") if is_number(share) else "no"


def _data(card: Card) -> str:
    data = mapping(card, "data")
    shown: list[tuple[str, object]] = [("Source", data["source"])] if "source" in data else []
    shown += [(t, number(data[n]).text) for n, t in _COUNTS.items() if n in data]
    if "divided_by" in data:
        shown.append(("Split by", data["divided_by"]))
    if data.get("receipts"):
        shown.append(("Receipts", words(data["receipts"])))
    if "sha256" in data:
        shown.append(("SHA-256", data["sha256"]))
    missing: list[list[Cell]] = [
        [name, Number(f"{share:.1%}"), number(found.get("median")), _carried(found)]
        for name, found in mapping(data, "missing").items()
        if isinstance(found, Mapping) and is_number(share := found.get("share"))
    ]
    header = ("Missing", "Share of the rows", "Median that stands in", "Last of the unit instead")
    gaps = table(header, missing) if missing else ""
    costs = [(t, words(mapping(card, "costs").get(n))) for n, t in _COSTS.items()]
    return section("Data", fields(shown) if shown else "", gaps) + section(
        "Costs that the threshold minimizes", fields(costs) if mapping(card, "costs") else ""
    )


def _warnings(card: Card) -> str:
    found = card.get("warnings")
    items = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    bullets = "".join(f"<li>{text(item)}</li>" for item in items)
    return section("Warnings", f"<ul>{bullets}</ul>" if bullets else "")


def _search(card: Card) -> str:
    search = mapping(card, "search")
    shapes: list[list[Cell]] = [
        [_SHAPES.get(str(name), str(name)), number(found.get("cost_per_1000"), 1),
         number(found.get("f1")), number(found.get("average_precision"))]
        for name, found in mapping(search, "shapes").items() if isinstance(found, Mapping)
    ]  # fmt: skip
    titles = ("Shape", "Cost per 1,000 readings", "F1", "Average precision")
    count = search.get("candidates")
    lead = f"<p>{number(count).text} candidates, compared by cross-validation.</p>" if count else ""
    return section("Search", lead, table(titles, shapes) if shapes else "")


def _end(card: Card) -> str:
    limits = card.get("limits")
    items = limits if isinstance(limits, Sequence) and not isinstance(limits, str) else ()
    bullets = "".join(f"<li>{text(item)}</li>" for item in items)
    versions = [(str(name), version) for name, version in mapping(card, "versions").items()]
    again = card.get("reproduce")
    return (
        section("Limits", f"<ul>{bullets}</ul>" if bullets else "")
        + section("Reproduce", f"<pre>{text(again)}</pre>" if again else "")
        + section("Versions", fields(versions) if versions else "")
    )


def card_page(card: Card) -> str:
    """Return a model card as a page that stands alone.

    Parameters
    ----------
    card
        The card of an artifact, of whatever kind.
    """
    origin = [(title, card[name]) for name, title in _THIRD_PARTY.items() if name in card]
    parts = (
        _lead(card), _warnings(card), fields(origin) if origin else "", _model(card),
        _comparison(card), foreseen(card), _curves(card), _groups(card), _data(card),
        _search(card), _end(card),
    )  # fmt: skip
    return page(card_title(card), "".join(parts))
