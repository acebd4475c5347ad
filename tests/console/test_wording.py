"""What comes from below the console, in a visitor's language; English is marked as English."""

import ast
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

import presagio
from presagio.console.catalogue import read_catalogues
from presagio.console.presentation import Presentation
from presagio.console.reasons import is_known
from presagio.console.wording import text_of, write
from presagio.errors import DataError, InvalidSpecError, UnreadableFileError
from presagio.machine.spec import parse_spec
from presagio.readings.rules import Reason
from presagio.sentences import (
    Code,
    Count,
    English,
    Listed,
    Measured,
    Moment,
    Number,
    Sentence,
    Share,
)

SOURCE = Path(presagio.__file__).parent
# Where files of the intake are read; serving has doors of its own, whose pages are the API's.
CHECKER = ("ingest", "machine", "readings", "console")
REFUSALS = ("UnreadableFileError", "HeaderLimitError")
SENTENCE = Sentence("more than %(most)s bytes", {"most": Number(1234.5)})


def _show(language: str) -> Presentation:
    return Presentation(read_catalogues()[language], ZoneInfo("UTC"), {})


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (Count(12_345), "12,345", "12.345"), (Number(0.25), "0.25", "0,25"),
        (Number(1234.5, 2), "1,234.50", "1234,50"), (Share(0.2), "20 %", "20 %"),
        (Measured(2.5, "Nm"), "2.5 Nm", "2,5 Nm"), ("<b>", "<b>", "<b>"),
        (Code("out_of_range"), "outside the plausible range", "fuera del rango plausible"),
        (Moment("2026-11-29T20:00:00+00:00"), "29 Nov 2026, 20:00", "29 nov 2026, 20:00"),
        (Moment("2026-11-29 20:00"), "2026-11-29 20:00", "2026-11-29 20:00"),
        (Moment("1234"), "1234", "1234"),
        (Listed((Count(1), SENTENCE)), "1, more than 1,234.5 bytes", "1, más de 1234,5 bytes"),
    ],
)  # fmt: skip
def test_values_are_written_as_readers_write_them(
    value: Count | Number, english: str, spanish: str
) -> None:
    found = [
        write(_show(language), Sentence("%(one)s or %(other)s", {"one": value, "other": ""}))
        for language in ("en", "es")
    ]
    plain = [text.replace("\u00a0", " ").replace("1.234", "1234") for text in found]
    assert plain == [f"{english} or ", f"{spanish} o "]


def test_an_error_with_a_sentence_is_translated() -> None:
    err = UnreadableFileError("empty", Sentence("the workbook has no sheet"))
    assert text_of(_show("en"), err) == "the workbook has no sheet"
    assert text_of(_show("es"), err) == "el libro no tiene ninguna hoja"


@pytest.mark.parametrize(
    "found", ["<MLflow> says no", DataError("<MLflow> says no"), Sentence("<MLflow> says no")]
)
def test_what_there_is_in_english_only_is_marked_for_who_listens_to_the_page(
    found: str | DataError | Sentence,
) -> None:
    assert str(text_of(_show("en"), found)) == "<MLflow> says no"
    marked = '<span lang="en">&lt;MLflow&gt; says no</span>'
    assert str(text_of(_show("es"), found)) == marked


def test_only_the_words_of_a_library_are_marked_within_a_sentence() -> None:
    why = Listed((English("<no> TOML"), SENTENCE), "<br>")
    found = Sentence("%(one)s or %(other)s", {"one": "<b>", "other": why})
    assert text_of(_show("en"), found) == "<b> or <no> TOML<br>more than 1,234.5 bytes"
    spanish = text_of(_show("es"), found)
    assert isinstance(spanish, Markup)
    assert spanish.replace("1.234", "1234") == (
        '&lt;b&gt; o <span lang="en">&lt;no&gt; TOML</span>&lt;br&gt;más de 1234,5 bytes'
    )
    unknown = Sentence("%(one)s or %(other)s", {"one": "a", "other": Sentence("<MLflow> says no")})
    assert text_of(_show("es"), unknown) == ('a o <span lang="en">&lt;MLflow&gt; says no</span>')


@pytest.mark.parametrize(
    ("text", "spanish"),
    [
        ('name = "Pumps"', "línea 1: name: el texto debe seguir el patrón"),
        ('colour = "<b>"', "línea 1: colour: no es un campo de la especificación de una máquina"),
        ("", "target: falta"),
        ('[time]\nname = "t"\nzone = "Here"', "línea 3: time.zone: 'Here' no es una zona horaria"),
        ('missing = "zero"', "missing: debe ser 'refuse', 'median' o 'last'; se recibió 'zero'"),
        ("[costs]\nmissed_failure = 0", "costs.missed_failure: debe ser mayor que 0; se recibió 0"),
        ("[remaining_life]\nmost = 9\ncoverage = 0.5", "debe ser mayor que 0.5; se recibió 0.5"),
    ],
)
def test_faults_of_a_machine_spec_are_translated(text: str, spanish: str) -> None:
    with pytest.raises(InvalidSpecError) as refused:
        parse_spec(text.encode(), "x.toml")
    found = [text_of(_show("es"), fault) for fault in refused.value.faults]
    assert any(spanish in fault for fault in found)
    assert not any("lang=" in fault for fault in found)
    assert [text_of(_show("en"), fault) for fault in refused.value.faults] == [
        *map(str, refused.value.faults)
    ]
    whole = text_of(_show("es"), refused.value)
    assert whole.startswith("la especificación de la máquina x.toml no es válida:\n  ")


def _refusals() -> Iterator[tuple[str, ast.Call]]:
    """Yield the places where the checker refuses a file."""
    for path in (path for package in CHECKER for path in (SOURCE / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in REFUSALS:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node


def test_each_code_of_the_checker_has_a_title_and_each_refusal_a_sentence() -> None:
    """Texts of sentences are looked up by ``test_catalogue``."""
    found = list(_refusals())
    assert len(found) > 20
    codes = {call.args[0].value for _, call in found if isinstance(call.args[0], ast.Constant)}
    unknown = [code for code in (*Reason, *codes) if not is_known(str(code))]
    assert unknown == []
    plain = [
        place for place, call in found
        if isinstance(call.args[1], ast.JoinedStr | ast.Constant | ast.BinOp)
    ]  # fmt: skip
    assert plain == []
