"""The words of the field: those that the project has put aside stay out of code and documents.

Code is read word by word: ``FileJudge`` and ``judge_column`` hold the word ``judge``.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
_GAP = r"[\s#]+"


@dataclass(frozen=True)
class Word:
    """A word that is not used, as a pattern, and what is used instead."""

    pattern: str
    instead: str
    case: bool = False

    def found_in(self, text: str) -> Iterator[re.Match[str]]:
        """Find the word in text whose names are divided into words."""
        pattern = self.pattern.replace(" ", _GAP)
        return re.finditer(rf"\b(?:{pattern})\b", text, 0 if self.case else re.IGNORECASE)


WORDS = (
    Word(r"(?:exact|linear|streamed|rbf) machines?", "SVM, detector"),
    Word(r"machines? an? (?:failure )?mode|machine or several", "one detector per failure mode"),
    Word(r"parameters of the machines", "parameters of the detectors"),
    Word(r"(?:held|holds?|holding)(?: [\w,'`.-]+){0,7}? against", "compared with"),
    Word(r"figures?", "metrics; numbers"),
    Word(r"judg\w+", "predict (a model), evaluate (a training), check (a reading)"),
    Word(r"no choice (?:has|had) seen", "held-out test set"),
    Word(r"never (?:to )?warn\w*", "always-negative baseline"),
    Word(r"rivals?", "baselines"),
    Word(r"rac(?:e|es|ed|ing|er)", "successive halving"),
    Word(r"described model", "reference model"),
    Word(r"quick(?:er)? ways?", "fast path"),
    Word(r"thorough(?:ly)?", "slow path"),
    Word(r"worth rows", "effective sample size"),
    Word(r"Usual at most", "normal maximum", case=True),
    Word(r"Beyond", "outside training range", case=True),
    Word(r"foreign", "third-party"),
    Word(r"lots?", "batch"),
    Word(r"mend(?:s|ed|ing)?", "repair"),
    Word(r"away", "unavailable"),
    Word(r"rooms?", "package"),
    Word(r"refused by the gate|stays (?:the |a )?challenger", "not promoted: reason"),
)
# Names of variables, arguments, attributes and functions: they say what it is.
NAMES = {"said", "own", "told", "word", "mine"}


@dataclass(frozen=True)
class Allowed:
    """Text that may stand in files whose path matches, and why."""

    path: str
    text: str
    why: str


EXCEPTIONS = (
    Allowed(r"", r"matplotlib\.figure|\bFigure\b|</?figure>",
            "a picture: of matplotlib, of HTML"),
    Allowed(r"", r"\bfigure(?= \{| h3 \{| = |, axes|\.subplots|\.savefig)",
            "a picture: of matplotlib, of HTML"),
    Allowed(r"src/", r"take[ns]? (?:\w+ )?away|thrown away|goes away",
            "plain English: what is removed, who leaves"),
    Allowed(r"", r"right away", "plain English: at once"),
    Allowed(r"", r"(?:no|make|needs?|for) room|_make_room", "space on a disk"),
    Allowed(r"src/presagio/storage/migrations/", r"ForeignKey|create_foreign_key", "SQL"),
    Allowed(r"src/presagio/(?:storage/(?:schema|promotions|migrations)|lifecycle/promotion)",
            r"\bfigures\b",
            "a column that stands in databases, a key of `presagio models --history --json`"),
    Allowed(r"src/presagio/serving/(?:http/answers|routes/models)", r"\bfigures(?==|:)",
            "a key of the answer to GET /models"),
    Allowed(r"src/presagio/cli/", r"--rivals|\brivals(?=: Annotated)|baselines or rivals",
            "the former name of --baselines, hidden"),
    Allowed(r"src/", r"\"rivals\"|never_to_warn", "keys of the model card, a part of artifacts"),
    Allowed(r"", r"--(?:no-)?(?:mend|lot|rivals)\b", "options that scripts use"),
    Allowed(r"src/presagio/cli/commands/", r"`mended`|\"mended\"", "former name of a key in JSON"),
    Allowed(r"airflow/dags/", r"`mend`|\"mend\"", "former name of a parameter, which still works"),
)  # fmt: skip

# Parts of the project, by path; a file belongs to the longest that it begins with.
PARTS = (
    *(
        f"src/presagio/{name}"
        for name in (
            "", "cli/", "errors", "inference/", "ingest/", "jobs/", "lifecycle/", "machine/",
            "orchestration/", "pages/", "readings/", "registry/", "scoring/", "serving/",
            "serving/routes/", "settings/", "stack/", "storage/", "training/",
        )
    ),
    "docs/", "docs/decisions/", "docs/architecture", "docs/benchmarks", "airflow/dags/", "bench/",
    "deploy/", "notebooks/", "",
)  # fmt: skip


def _files() -> Iterator[Path]:
    for folder in ("airflow/dags", "bench", "deploy", "docs", "notebooks", "src"):
        for kind in ("ipynb", "md", "py", "toml", "yaml"):
            yield from sorted((ROOT / folder).rglob(f"*.{kind}"))
    yield from sorted(ROOT.glob("*.yaml"))
    # Not CHANGELOG.md: it says what was changed in the words of its day. README.es.md is Spanish.
    yield from sorted({*ROOT.glob("*.md")} - {ROOT / "CHANGELOG.md", ROOT / "README.es.md"})


def _part_of(path: str) -> str:
    return max((part for part in PARTS if path.startswith(part)), key=len)


def _divided(text: str) -> str:
    """Divide names into their words; lengths stay, so that lines and places do."""
    text = text.replace("_", " ")
    # CamelCase: a capital after a small letter begins a word.
    return re.sub(r"([a-z0-9])([A-Z])", "\\1\0\\2", text)


def _without_exceptions(path: str, text: str) -> str:
    for allowed in EXCEPTIONS:
        if re.match(allowed.path, path):
            text = re.sub(allowed.text, lambda found: "~" * len(found[0]), text)
    return text


def _words_in(path: str, text: str) -> Iterator[str]:
    divided = _divided(_without_exceptions(path, text)).replace("\0", " ")
    for word in WORDS:
        for found in word.found_in(divided):
            line = divided.count("\n", 0, found.start()) + 1
            yield f"{path}:{line}: {' '.join(found[0].split())} -> {word.instead}"


def _bound(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return name
        case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case ast.ClassDef(name=name) | ast.alias(asname=str(name)):
            return name
    return None


def _names_in(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        name = _bound(node)
        if name is not None and name.strip("_").lower() in NAMES:
            line = getattr(node, "lineno", 0)
            yield f"{path}:{line}: the name {name} -> what it is"


def found_in(part: str) -> list[str]:
    """Return what of these words stands in a part of the project, with file and line."""
    found: list[str] = []
    for file in _files():
        path = file.relative_to(ROOT).as_posix()
        if _part_of(path) == part:
            text = file.read_text(encoding="utf-8")
            found += _words_in(path, text)
            if file.suffix == ".py":
                found += _names_in(path, text)
    return found


@pytest.mark.parametrize("part", PARTS)
def test_words_put_aside_stay_out(part: str) -> None:
    found = found_in(part)
    assert not found, "\n".join(found)


def test_words_are_found_in_names_and_over_lines() -> None:
    text = "class FileJudge: ...\n# It is held\n# against\nmended_rows = said = 1\nroomy = 2\n"
    found = [line.split(": ", 1)[1].partition(" ->")[0] for line in _words_in("src/a.py", text)]
    assert found == ["held # against", "Judge", "mended"]
    assert [line.split(": ")[1] for line in _names_in("src/a.py", text)] == [
        "the name said -> what it is"
    ]
