"""The model card as a page: the model first, then its baselines, then what it was made of.

It is made from the card's JSON alone, by training, by the API and by the console. That may come
from an older version or from somebody else: what is missing or of another kind is left out, and
breaks nothing.
"""

from collections.abc import Mapping, Sequence

from presagio.pages.elements import Cell, Number, fields, page, section, table, text
from presagio.pages.foreseen import ahead_of, foreseen
from presagio.pages.performance import COST, comparison, curves, groups
from presagio.pages.values import Card, is_number, mapping
from presagio.pages.writing import ENGLISH, Writing, mark

_COUNTS = {
    "rows": mark("Rows"), "failures": mark("Failures"), "rejected_rows": mark("Rejected rows"),
    "train_rows": mark("Rows of the training part"),
    "test_rows": mark("Rows of the held-out test set"),
    "test_failures": mark("Failures in the held-out test set"),
}  # fmt: skip
_COSTS = {
    "missed_failure": mark("A missed failure"), "false_alarm": mark("A false alarm"),
    "inspection": mark("Every alarm (inspection)"),
    "max_alarm_share": mark("Largest share of alarms"),
}  # fmt: skip
_THIRD_PARTY = {"origin": mark("Origin"), "run_by": mark("Run by"), "sha256": "SHA-256"}
_NAMED = {
    "method": mark("Method"), "support_vectors": mark("Support vectors"),
    "threshold": mark("Threshold"), "threshold_rule": mark("Threshold chosen by"),
    "seed": mark("Seed"),
}  # fmt: skip
_SHAPES = {
    "per_mode": mark("One SVM detector per failure mode"),
    "single": mark("One SVM for all failures"),
}
_DETECTORS = (
    mark("Detector"), mark("Feature set"), mark("Inputs"), mark("Kernel"), mark("Parameters"),
    mark("Boundary"),
)  # fmt: skip
# So many inputs of a detector are named.
_MOST_COLUMNS = 30


def card_title(card: Card, say: Writing = ENGLISH) -> str:
    """Return the title of a model card's page."""
    machine = card.get("title") or card.get("machine") or say.phrase("unknown machine")
    return say.phrase("Model card: %(machine)s", machine=machine)


def _lead(card: Card, say: Writing) -> str:
    model, data, test = mapping(card, "model"), mapping(card, "data"), mapping(card, "test")
    shape = _SHAPES.get(str(model.get("shape")))
    found, missed = test.get("true_positives"), test.get("false_negatives")
    if shape is None or not (is_number(found) and is_number(missed)):
        return ""
    numbers = {
        "train": say.number(data.get("train_rows")).text, "all": say.number(found + missed).text,
        "test": say.number(data.get("test_rows")).text, "found": say.number(found).text,
        "false": say.number(test.get("false_positives")).text,
    }  # fmt: skip
    made = say.phrase("%(shape)s, trained on %(train)s readings.", shape=say.phrase(shape),
                      train=numbers.pop("train"))  # fmt: skip
    if ahead := ahead_of(card, say):
        found_some = say.phrase(
            "Of the %(all)s readings within %(ahead)s of a failure among %(test)s held-out "
            "readings it finds %(found)s, with %(false)s false alarms.", ahead=ahead, **numbers,
        )  # fmt: skip
    else:
        found_some = say.phrase(
            "Of the %(all)s failures among %(test)s held-out readings it finds %(found)s, with "
            "%(false)s false alarms.", **numbers,
        )  # fmt: skip
    return f'<p class="lead">{text(made)} {text(found_some)}</p>'


def _columns(names: object, say: Writing) -> str:
    """Return the names of columns, of many the first ones."""
    if not isinstance(names, list) or len(names) <= _MOST_COLUMNS:
        return say.words(names)
    first, more = say.words(names[:_MOST_COLUMNS]), len(names) - _MOST_COLUMNS
    return say.phrase("%(first)s and %(more)s more", first=first, more=more)


def _detectors(card: Card, say: Writing) -> str:
    modes = mapping(card, "modes")
    rows: list[list[Cell]] = []
    for detector in mapping(card, "model").get("detectors") or ():
        if not isinstance(detector, Mapping):
            continue
        label = str(detector.get("label"))
        parameters = dict(mapping(detector, "parameters"))
        kernel = str(parameters.pop("kernel", ""))
        kept = detector.get("keeps_its_boundary")
        moved = say.phrase("kept") if kept else say.phrase("moved by the threshold")
        rows.append([
            str(modes.get(label, label)), str(detector.get("features")),
            _columns(detector.get("columns"), say), kernel, say.words(parameters), moved,
        ])  # fmt: skip
    return table(say.phrases(_DETECTORS), rows) if rows else ""


def _model(card: Card, say: Writing) -> str:
    model = mapping(card, "model")
    shown = [
        (say.phrase(t), say.phrase(say.words(model[name])))
        for name, t in _NAMED.items() if name in model
    ]  # fmt: skip
    return section(
        say.phrase("The model"), _detectors(card, say), fields(shown) if shown else ""
    )  # fmt: skip


def _carried(missing: Mapping[str, object], say: Writing) -> Cell:
    """Say in which share of the rows the last value of the unit stands in, where that is wanted."""
    share = missing.get("carried")
    return Number(say.percent(share)) if is_number(share) else say.phrase("no")


def _data(card: Card, say: Writing) -> str:
    data = mapping(card, "data")
    shown: list[tuple[str, object]] = []
    if "source" in data:
        source = say.text(data["source"], mapping(card, "sentences"))
        shown.append((say.phrase("Source"), source))
    shown += [(say.phrase(t), say.number(data[n]).text) for n, t in _COUNTS.items() if n in data]
    if "divided_by" in data:
        shown.append((say.phrase("Split by"), say.phrase(str(data["divided_by"]))))
    if data.get("receipts"):
        shown.append((say.phrase("Receipts"), say.words(data["receipts"])))
    if "sha256" in data:
        shown.append(("SHA-256", data["sha256"]))
    missing: list[list[Cell]] = [
        [name, Number(say.percent(share)), say.number(found.get("median")), _carried(found, say)]
        for name, found in mapping(data, "missing").items()
        if isinstance(found, Mapping) and is_number(share := found.get("share"))
    ]
    header = (
        say.phrase("Missing"), say.phrase("Share of the rows"),
        say.phrase("Median that stands in"), say.phrase("Last of the unit instead"),
    )  # fmt: skip
    gaps = table(header, missing) if missing else ""
    priced = mapping(card, "costs")
    costs = [(say.phrase(title), say.words(priced.get(name))) for name, title in _COSTS.items()]
    return section(say.phrase("Data"), fields(shown) if shown else "", gaps) + section(
        say.phrase("Costs that the threshold minimizes"), fields(costs) if priced else ""
    )


def _listed(title: str, found: object, card: Card, say: Writing) -> str:
    """Return a section with sentences of the card, one a line."""
    known = mapping(card, "sentences")
    items = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    bullets = "".join(f"<li>{text(say.text(item, known))}</li>" for item in items)
    return section(title, f"<ul>{bullets}</ul>" if bullets else "")


def _search(card: Card, say: Writing) -> str:
    search = mapping(card, "search")
    shapes: list[list[Cell]] = [
        [say.phrase(_SHAPES.get(str(name), str(name))), say.number(found.get("cost_per_1000"), 1),
         say.number(found.get("f1")), say.number(found.get("average_precision"))]
        for name, found in mapping(search, "shapes").items() if isinstance(found, Mapping)
    ]  # fmt: skip
    titles = (say.phrase("Shape"), say.phrase(COST), "F1", say.phrase("Average precision"))
    lead = ""
    if count := search.get("candidates"):
        number = say.number(count).text
        compared = say.phrase("%(count)s candidates, compared by cross-validation.", count=number)
        lead = f"<p>{text(compared)}</p>"
    return section(say.phrase("Search"), lead, table(titles, shapes) if shapes else "")


def _end(card: Card, say: Writing) -> str:
    versions = [(str(name), version) for name, version in mapping(card, "versions").items()]
    again = card.get("reproduce")
    written = say.text(again, mapping(card, "sentences"))
    return (
        _listed(say.phrase("Limits"), card.get("limits"), card, say)
        + section(say.phrase("Reproduce"), f"<pre>{text(written)}</pre>" if again else "")
        + section(say.phrase("Versions"), fields(versions) if versions else "")
    )


def card_body(card: Card, say: Writing = ENGLISH) -> str:
    """Return what a model card says, as HTML without a frame; its sections have headings ``h2``.

    Parameters
    ----------
    card
        The card of an artifact, of whatever kind.
    say
        Writes texts and numbers.
    """
    origin = [
        (say.phrase(title), card[name]) for name, title in _THIRD_PARTY.items() if name in card
    ]
    parts = (
        _lead(card, say), _listed(say.phrase("Warnings"), card.get("warnings"), card, say),
        fields(origin) if origin else "", _model(card, say), comparison(card, say),
        foreseen(card, say), curves(card, say), groups(card, say), _data(card, say),
        _search(card, say), _end(card, say),
    )  # fmt: skip
    return "".join(parts)


def card_page(card: Card) -> str:
    """Return a model card as a page that stands alone.

    Parameters
    ----------
    card
        The card of an artifact, of whatever kind.
    """
    return page(card_title(card), card_body(card))
