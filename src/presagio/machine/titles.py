"""Titles for people, in one language or in several.

A title is a text. Where a spec gives it by language (``{en = "Torque", es = "Par"}``) it is the
English text, with the others beside it: whoever knows nothing of languages goes on as before.
The others are for show only. They are no names of columns, are not written into artifacts, and do
not change what a spec is: its digest, and with it which files were checked by it, stays the same.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from presagio.machine.spec_faults import SpecFaultError
from presagio.sentences import Sentence

ENGLISH = "en"
_LANGUAGE = r"^[a-z]{2,3}(-[A-Z]{2})?$"
_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "description": "The title by language; English is needed.",
            "propertyNames": {"pattern": _LANGUAGE},
            "additionalProperties": {"type": "string", "minLength": 1},
            "required": [ENGLISH],
        },
    ]
}


class _Titled(str):
    """An English title with its translations, by language."""

    __slots__ = ("translations",)
    translations: Mapping[str, str]

    def __new__(cls, texts: Mapping[str, str]) -> Self:
        made = super().__new__(cls, texts[ENGLISH])
        made.translations = dict(texts)
        return made

    def __getnewargs__(self) -> tuple[Mapping[str, str]]:  # type: ignore[override]
        return (self.translations,)


def _title(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        raise SpecFaultError(Sentence("a title is a text, or a table of texts by language"))
    if strange := [name for name in value if re.fullmatch(_LANGUAGE, str(name)) is None]:
        raise SpecFaultError(
            Sentence(
                "a title is by language, such as en or es: %(name)s is none",
                {"name": repr(str(strange[0])[:40])},
            )
        )
    if ENGLISH not in value:
        raise SpecFaultError(Sentence("a title by language needs %(name)s", {"name": ENGLISH}))
    for name, text in value.items():
        if not isinstance(text, str) or not text.strip():
            raise SpecFaultError(
                Sentence("the title in %(name)s is no text, or an empty one", {"name": name})
            )
    return _Titled(value)


def _core(_source: Any, _handler: Any) -> core_schema.CoreSchema:
    return core_schema.no_info_plain_validator_function(
        _title, serialization=core_schema.to_string_ser_schema()
    )


Title = Annotated[str, GetPydanticSchema(_core, lambda _schema, _handler: {**_SCHEMA})]


def title_in(title: str, language: str) -> str:
    """Return a title in a language, such as ``es``; in English where it has no other text.

    A language with a country (``es-MX``) is looked for first, then without.
    """
    if not isinstance(title, _Titled):
        return title
    texts = title.translations
    return texts.get(language) or texts.get(language.partition("-")[0]) or str(title)
