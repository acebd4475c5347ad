"""Pages that stand alone elsewhere, such as model cards, in a visitor's language."""

from functools import partial

from babel.numbers import format_decimal
from markupsafe import Markup

from presagio.console.presentation import Presentation
from presagio.pages.writing import Writing


def writing_of(show: Presentation) -> Writing:
    """Return what writes such a page for a visitor."""

    def fixed(value: float, decimals: int) -> str:
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return str(format_decimal(value, format=pattern, locale=show.catalogue.locale))

    return Writing(
        show.catalogue.gettext, fixed, show.significant, partial(show.percent, decimals=1)
    )  # fmt: skip


def as_markup(body: str) -> Markup:
    """Mark the body of such a page as HTML: what it shows was escaped where it was made."""
    return Markup(body)  # noqa: S704 - of presagio.pages, which escapes all texts
