"""Every text of the console is there in each language."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file

from presagio.console.catalogue import LANGUAGES, choose_language, read_catalogue
from presagio.console.pages import TEMPLATES, make_environment

SOURCE = TEMPLATES.parent
# Sentences that stand below the console, and are translated here.
WORDS = (
    SOURCE.parent / "inference/diagnosis_words.py",
    SOURCE.parent / "training/evaluation/card.py",
    SOURCE.parent / "lifecycle/drift_page.py",
    *sorted((SOURCE.parent / "pages").glob("*.py")),
)
# Everywhere below: what the checker says of rows and files, the gate's reasons.
SENTENCES = [path for path in SOURCE.parent.rglob("*.py") if "console" not in path.parts]
KEYWORDS = {
    "mark": None, "translate": None, "ngettext": (1, 2), "Sentence": None, "phrase": None,
}  # fmt: skip
Message = str | tuple[str, ...]


def _messages() -> Iterator[tuple[Path, Message]]:
    for path in (*SOURCE.rglob("*.py"), *WORDS):
        for _, message, _, _ in extract_from_file("python", path, keywords=KEYWORDS):
            yield path, message
    for path in SENTENCES:
        for _, message, _, _ in extract_from_file("python", path, keywords={"Sentence": None}):
            yield path, message
    environment = make_environment()
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for _, function, found in environment.extract_translations(text):  # type: ignore[attr-defined]
            # What is translated by a variable would not be escaped: {{ variable|translated }}.
            assert found is not None, path
            texts = [found] if isinstance(found, str) else [each for each in found or () if each]
            if texts:
                yield path, tuple(texts[:2]) if function == "ngettext" else texts[0]


def test_all_texts_are_translated() -> None:
    spanish = read_catalogue("es")
    known = {*spanish.singular, *spanish.plural}
    missing = sorted(
        {f"{path.name}: {message!r}" for path, message in _messages() if message not in known}
    )
    assert not missing, "to be put into locale/es/:\n" + "\n".join(missing)


def test_no_translation_is_left_over() -> None:
    spanish = read_catalogue("es")
    used = {message for _, message in _messages()}
    assert {*spanish.singular, *spanish.plural} <= used


def test_values_are_put_in_alike_in_all_languages() -> None:
    spanish = read_catalogue("es")
    for english, text in spanish.singular.items():
        assert _names(english) == _names(text), english
    for (_, many), forms in spanish.plural.items():
        assert all(_names(form) <= _names(many) for form in forms), many


def _names(text: str) -> set[str]:
    return {part.partition(")")[0] for part in text.split("%(")[1:]}


def test_a_text_is_translated_alike_on_all_pages(caplog: pytest.LogCaptureFixture) -> None:
    for language in LANGUAGES:
        read_catalogue(language)
    assert not caplog.messages


def test_two_pages_that_translate_a_text_differently_do_not_stop_the_console(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "es").mkdir()
    for name, text in (("a", "Uno"), ("b", "Otro")):
        (tmp_path / "es" / f"{name}.po").write_text(f'msgid "One"\nmsgstr "{text}"\n')
    assert read_catalogue("es", tmp_path).gettext("One") == "Uno"
    assert "'One' is translated otherwise before" in caplog.text


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "es-MX,es;q=0.9,en;q=0.8", "es"),
        (None, "fr,en;q=0.5,es;q=0.7", "es"),
        (None, "es;q=0,en;q=0.1", "en"),
        (None, "es;q=one, de", "en"),
        ("es", "en", "es"),
        ("xx", "en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_first_of_the_browser_that_there_is(
    cookie: str | None, accepted: str, language: str
) -> None:
    assert choose_language(cookie, accepted) == language
    assert language in LANGUAGES
