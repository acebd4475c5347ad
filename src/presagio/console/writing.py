"""Pages that stand alone elsewhere, such as model cards, in a visitor's language."""

from functools import partial
from typing import Any

from markupsafe import Markup

from presagio.console.presentation import Presentation
from presagio.console.wording import fixed
from presagio.inference.diagnosis_words import title_of
from presagio.machine.spec import MachineSpec
from presagio.machine.titles import title_in
from presagio.pages.values import Card, mapping
from presagio.pages.writing import Writing


def writing_of(show: Presentation) -> Writing:
    """Return what writes such a page for a visitor."""
    return Writing(
        show.catalogue.gettext, partial(fixed, show), show.significant,
        partial(show.percent, decimals=1),
    )  # fmt: skip


def titled_card(card: Card, spec: MachineSpec, language: str) -> dict[str, Any]:
    """Return a model card with names as today's machine spec calls them in a language.

    What the spec does not know, of an older one perhaps, is called as the card does.
    """
    title, groups = title_of(spec, language), dict[str, str]()
    for each in spec.categories:
        groups |= {f"{each.name} {value}": f"{title(each.name)} {value}" for value in each.values}
    by_category = mapping(card, "test_by_category").items()
    modes = {each.name: title(each.name) for each in (spec.target, *spec.modes) if each.title}
    found = {
        **card, "modes": {**mapping(card, "modes"), **modes},
        "test_by_category": {groups.get(name, name): metrics for name, metrics in by_category},
    }  # fmt: skip
    if spec.title:
        found["title"] = title_in(spec.title, language)
    data, time = mapping(card, "data"), spec.time
    missing = {title(name): gaps for name, gaps in mapping(data, "missing").items()}
    if missing:
        found["data"] = {**data, "missing": missing}
    horizon = mapping(card, "horizon")
    if horizon and time is not None and horizon.get("unit") == time.name:
        found["horizon"] = {**horizon, "unit": title_in(time.title or time.name, language)}
    return found


def as_markup(body: str) -> Markup:
    """Mark the body of such a page as HTML: what it shows was escaped where it was made."""
    return Markup(body)  # noqa: S704 - of presagio.pages, which escapes all texts
