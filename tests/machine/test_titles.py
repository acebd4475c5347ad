"""Titles and units for people: in languages, beside what the spec is."""

import json
import pickle
from typing import Any

import pytest

from presagio.errors import InvalidSpecError
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.machine.titles import title_in

PLAIN = """
name = "press"
title = "Press"
[[features]]
name = "oil_k"
title = "Oil temperature"
unit = "K"
[target]
name = "failed"
title = "Failure"
"""
TITLED = (
    PLAIN.replace('title = "Press"', 'title = { en = "Press", es = "Prensa" }')
    .replace('title = "Oil temperature"', 'title.en = "Oil temperature"\ntitle.de = "Öl"')
    .replace('unit = "K"', 'unit = "K"\ndisplay_unit = "°C"')
)


def _spec(text: str) -> MachineSpec:
    return parse_spec(text.encode(), "press.toml")


def test_a_title_by_language_is_the_english_one_for_all_who_ask_for_none() -> None:
    spec, plain = _spec(TITLED), _spec(PLAIN)
    assert (spec.title, spec.features[0].title) == ("Press", "Oil temperature")
    assert [title_in(spec.title, language) for language in ("es", "es-MX", "de", "en")] == [
        "Prensa", "Prensa", "Press", "Press",
    ]  # fmt: skip
    assert title_in(spec.features[0].title, "de") == "Öl"
    assert title_in(plain.title, "es") == "Press"
    # A reader process gets it whole.
    sent = pickle.loads(pickle.dumps(spec))  # noqa: S301 - our bytes
    assert title_in(sent.title, "es") == "Prensa"


def test_languages_and_units_for_show_change_neither_digest_nor_artifact() -> None:
    assert _spec(TITLED).digest == _spec(PLAIN).digest
    assert _spec(TITLED).model_dump_json() == _spec(PLAIN).model_dump_json()
    assert _spec(PLAIN.replace("Press", "Presses")).digest != _spec(PLAIN).digest


def test_every_title_of_the_spec_that_ships_is_there_in_spanish(spec: MachineSpec) -> None:
    titled = (*spec.features, *spec.categories, spec.target, *spec.modes, *spec.quantities)
    titles = [spec.title, *(each.title for each in titled)]
    assert [title for title in titles if title_in(title, "es") in ("", title)] == []
    # Files that were checked by it before it had them are not to be checked again.
    assert spec.digest == "4949bc735e3b45320527f81d39e940c6b2b42c8853c4a669065020ecacdbcd4d"


@pytest.mark.parametrize(
    ("title", "why"),
    [
        ('{ es = "Prensa" }', "line 3: title: a title by language needs en"),
        ('{ en = "Press", es = " " }', "the title in es is no text, or an empty one"),
        ('{ en = "Press", es = 3 }', "the title in es is no text"),
        ('{ en = "Press", Spanish = "x" }', "such as en or es: 'Spanish' is none"),
        ('{ en = "Press", "../es" = "x" }', "'../es' is none"),
        ("3", "a title is a text, or a table of texts by language"),
        ('["Press"]', "a title is a text, or a table"),
    ],
)
def test_a_title_that_is_none_is_refused_with_its_place(title: str, why: str) -> None:
    with pytest.raises(InvalidSpecError) as refused:
        _spec(PLAIN.replace('"Press"', title))
    assert why in str(refused.value)


def test_the_json_schema_takes_both_forms() -> None:
    fields: dict[str, Any] = MachineSpec.model_json_schema()["properties"]["title"]
    text, table = fields["anyOf"]
    assert text == {"type": "string"}
    assert table["required"] == ["en"]
    assert json.dumps(_spec(TITLED).model_dump()["title"]) == '"Press"'


@pytest.mark.parametrize("unit", ["rpm", "celsius", "bar"])
def test_a_unit_for_show_is_one_that_readings_can_be_converted_into(unit: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"can be shown in \['K', '°C', '°F'\]"):
        _spec(TITLED.replace("°C", unit))
