"""Documents are held to the program."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES: dict[str, Callable[[], str]] = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]
DOCUMENTS = [ROOT / "README.md", ROOT / "README.es.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _code(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_those_of_the_program(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "write them anew: make docs"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_both_readmes_have_the_same_commands() -> None:
    assert _code("README.md") == _code("README.es.md")


def test_every_task_in_the_readme_is_one_of_the_makefile() -> None:
    tasks = set(
        re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"make ([a-z0-9-]+)", "\n".join(_code("README.md"))))
    assert {"up", "demo", "test"} <= named <= tasks


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
