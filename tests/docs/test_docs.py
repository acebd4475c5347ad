"""Documents are compared with the program."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from presagio.readings.rules import Reason
from presagio.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES: dict[str, Callable[[], str]] = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")), ROOT / ".github" / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]  # fmt: skip
# Decisions are history: they name what was there when they were made.
PRESENT = [
    page for page in DOCUMENTS if page.parent.name != "decisions" and page.name != "CHANGELOG.md"
]
_TEXT = {".py", ".yaml", ".sh"}


def _tasks() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))


def _code(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_those_of_the_program(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "write them anew: make docs"


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_a_readme_is_short(readme: str) -> None:
    assert len((ROOT / readme).read_text(encoding="utf-8").splitlines()) < 150


def test_both_readmes_have_the_same_commands() -> None:
    assert _code("README.md") == _code("README.es.md")


def test_every_task_in_the_readme_is_one_of_the_makefile() -> None:
    named = set(re.findall(r"make ([a-z0-9-]+)", "\n".join(_code("README.md"))))
    assert {"up", "demo", "test"} <= named <= _tasks()


def test_every_command_in_the_documents_is_one_of_the_program() -> None:
    known = set(re.findall(r"## `presagio ([a-z-]+)", PAGES["commands.md"]()))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        used = set(re.findall(r"(?:^|`)(?:\.venv/bin/)?presagio ([a-z-]+)", text, re.MULTILINE))
        assert used <= known, f"{document.name}: {used - known}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(
        re.findall(r"\((\d{4}-[^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    )
    assert listed == {page.name for page in folder.glob("[0-9]*.md")}


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = json.loads((ROOT / "notebooks" / "experiment.ipynb").read_bytes())
    assert not [cell for cell in notebook["cells"] if cell.get("outputs")]


def _headings(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def test_contributors_are_told_what_to_touch() -> None:
    additions = {"A sensor", "A file format", "An estimator", "A service", "A page", "A setting",
                 "A command", "A route"}  # fmt: skip
    assert additions <= set(_headings("docs/contributing.md"))
    assert "(docs/contributing.md)" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["docs/contributing.md", "CONTRIBUTING.md"])
def test_files_that_contributors_are_to_touch_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w-]+/[\w./-]*|[\w.-]+\.(?:yaml|toml|example|md)))`", text))
    assert named
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_each_addition_says_where_its_tests_are() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        assert re.search(r"`tests/", section), section.partition("\n")[0]


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_a_readme_says_in_ten_words_what_this_is(readme: str) -> None:
    first = (ROOT / readme).read_text(encoding="utf-8").split("\n\n")[1].split(". ")[0]
    assert len(first.split()) == 10, first


_PICTURE = re.compile(
    r'<img src="(docs/images/([\w-]+)(?:\.\w+)?\.webp)" width="\d+%" alt="([^"]+)">'
)


def test_both_readmes_show_the_same_pages_small_and_in_words() -> None:
    shown = []
    for readme in ("README.md", "README.es.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        pictures = _PICTURE.findall(text)
        assert len(pictures) == text.count("<img")
        for path, _, words in pictures:
            content = (ROOT / path).read_bytes()
            assert (content[:4], content[8:12]) == (b"RIFF", b"WEBP")
            assert len(content) <= 60_000, path
            assert len(words.split()) > 4, path
        shown.append([name for _, name, _ in pictures])
    assert shown[0] == shown[1]
    assert 2 <= len(shown[0]) <= 3


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_what_a_readme_says_was_measured_has_a_heading_where_it_links_to(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    linked = set(re.findall(r"\(docs/benchmarks\.md#([\w-]+)\)", text))
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    assert linked
    assert linked <= headings


def _source(*folders: str) -> str:
    files = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return "\n".join(path.read_text("utf-8") for path in files if path.suffix in _TEXT)


@pytest.mark.parametrize("document", PRESENT, ids=lambda path: path.name)
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    configured = _source("src", "deploy") + "".join(
        (ROOT / name).read_text("utf-8") for name in (".env.example", "compose.yaml")
    )
    settings = {f"PRESAGIO_{name.upper()}" for name in Settings.model_fields}
    variables = set(re.findall(r"PRESAGIO_[A-Z0-9_]*[A-Z0-9]", text)) - settings
    assert {name for name in variables if name not in configured} == set()
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= _tasks()
    folders = r"`((?:\.ci|\.github|airflow|bench|deploy|docs|notebooks|src|tests)/[\w./-]+)`"
    missing = {path for path in re.findall(folders, text) if not (ROOT / path).exists()}
    # Written by whoever has an Alertmanager.
    assert missing - {"deploy/monitoring/alertmanagers/own.yaml"} == set()


def test_routes_that_the_api_page_names_are_there() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    routes = set(re.findall(r"`(?:GET|POST) (/[a-z/]+)", text))
    assert {"/predict", "/feedback", "/token"} <= routes
    source = _source("src/presagio/serving")
    assert {route for route in routes if f'"{route}"' not in source} == set()


def test_every_reason_why_a_reading_is_refused_is_documented() -> None:
    pages = (ROOT / "docs" / name for name in ("architecture.md", "api.md"))
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert {reason.value for reason in Reason} <= set(re.findall(r"`([a-z_]+)`", text))
