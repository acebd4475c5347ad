"""The texts of the console in each language (gettext): English in the code, the rest in .po files.

``locale/es/<page>.po`` has those of a page; they are read once, when the program starts.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from babel import Locale
from babel.messages.pofile import read_po

_log = logging.getLogger(__name__)

LOCALES = Path(__file__).parent / "locale"
# The languages, each by its own name.
LANGUAGES = {"en": "English", "es": "Español"}
DEFAULT = "en"


def mark(message: str) -> str:
    """Mark a text that is translated where it is shown; returns it as it is."""
    return message


@dataclass(frozen=True)
class Catalogue:
    """The texts of one language.

    Attributes
    ----------
    singular, plural
        By the English text; ``plural`` by the English singular and plural.
    """

    language: str
    singular: Mapping[str, str] = field(default_factory=dict)
    plural: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    @property
    def locale(self) -> Locale:
        """The locale that numbers and dates are written by."""
        return Locale.parse(self.language)

    def gettext(self, message: str) -> str:
        """Return a text in this language; in English where it is not known."""
        return self.singular.get(message, message)

    def knows(self, message: str) -> bool:
        """Tell whether there is a text in this language; of English ones always."""
        return self.language == DEFAULT or message in self.singular

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Return the form of a text for a number of things."""
        forms = self.plural.get((one, many))
        # English and Spanish have two forms alike.
        return (forms or (one, many))[number != 1]


def read_catalogue(language: str, folder: Path = LOCALES) -> Catalogue:
    """Read the texts of a language.

    Where two pages translate one text differently, both show the first translation, and the log
    says so: a slip in a text keeps nobody from seeing an alarm.
    """
    singular: dict[str, str] = {}
    plural: dict[tuple[str, str], tuple[str, ...]] = {}
    for path in sorted((folder / language).glob("*.po")):
        with path.open("rb") as file:
            for entry in read_po(file, locale=language, abort_invalid=True):
                if not entry.id or not entry.string:
                    continue
                if isinstance(entry.id, tuple | list):
                    known_forms = plural.setdefault(tuple(entry.id), tuple(entry.string))  # type: ignore[arg-type]
                    is_same = known_forms == tuple(entry.string)
                else:
                    is_same = singular.setdefault(entry.id, str(entry.string)) == entry.string
                if not is_same:
                    _log.warning("%s: %r is translated otherwise before", path, entry.id)
    return Catalogue(language, singular, plural)


def read_catalogues() -> dict[str, Catalogue]:
    """Read the texts of all languages."""
    return {language: read_catalogue(language) for language in LANGUAGES}


def choose_language(cookie: str | None, accepted: str) -> str:
    """Return the language of a page.

    Parameters
    ----------
    cookie
        What the visitor has chosen.
    accepted
        The header ``Accept-Language``.
    """
    if cookie in LANGUAGES:
        return str(cookie)
    ranked = []
    for place, entry in enumerate(accepted[:500].split(",")):
        name, _, quality = entry.partition(";q=")
        try:
            rank = float(quality or "1")
        except ValueError:
            continue
        ranked.append((-rank, place, name.strip().lower().partition("-")[0]))
    return next((name for rank, _, name in sorted(ranked) if name in LANGUAGES and rank), DEFAULT)
