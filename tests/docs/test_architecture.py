"""The page on the architecture says what the source is: packages, and walks that go forward."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path

import grimp
import pytest

from structure import (
    NAME,
    ROOT,
    SOURCE,
    Step,
    Walk,
    every_package,
    file_of,
    imported,
    layers,
    rank,
    tree,
    walks,
)

pytestmark = pytest.mark.unit
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WALKS = walks(PAGE)
STEPS = [
    pytest.param(step, id=f"{walk.file}-{step.number}") for walk in WALKS for step in walk.steps
]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(NAME)


def _folders() -> set[str]:
    """Return the packages that there are, by path below the source."""
    return {
        str(path.parent.relative_to(SOURCE / NAME))
        for path in (SOURCE / NAME).rglob("__init__.py")
        if path.parent != SOURCE / NAME
    }


def _defined(step: Step) -> bool:
    """Tell whether a step's function, class or method is there, by the names in its file."""
    body: list[ast.stmt] = tree(file_of(step.where)).body
    for name in step.function.split("."):
        found = [
            node for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == name
        ]  # fmt: skip
        attributes = {
            target.attr
            for statement in body
            for node in ast.walk(statement)
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Attribute)
        }
        if not found:
            return name in attributes
        body = found[0].body
    return True


def _callers(step: Step) -> list[Step]:
    """Return who calls a step, the nearest first."""
    return [] if step.caller is None else [step.caller, *_callers(step.caller)]


def _below(step: Step, walk: Walk) -> list[Step]:
    """Return a step and all that it calls."""
    return [s for s in walk.steps if f"{s.number}.".startswith(f"{step.number}.")]


def _named(function: str, path: Path) -> bool:
    return bool(re.search(rf"\b{function.rpartition('.')[2]}\b", path.read_text("utf-8")))


def _climbs(step: Step, walk: Walk, graph: grimp.ImportGraph) -> Iterator[str]:
    """Yield what is wrong with a step and its callers."""
    caller = step.caller
    if caller is None:
        return
    if caller.where != step.where:
        earlier = walk.steps[: walk.steps.index(step)]
        before = [caller, *(s for s in earlier if s.caller == caller)]
        importers = [s for s in before if step.where in imported(file_of(s.where))]
        if not importers or not _named(step.function, file_of(caller.where)):
            yield f"{caller.where} does not call {step.where}:{step.function}"
    for above in _callers(step):
        if rank(above.where) > rank(step.where):
            yield f"{step.where} lies above {above.where}, by which it is called"
        elif "/" in above.where or above.where == step.where:
            continue
        elif graph.find_shortest_chain(step.where, above.where):
            yield f"{step.where} imports {above.where}, by which it is called"


def _foresees(earlier: Step, later: Step) -> bool:
    """Tell whether a step imports and names what comes when it has ended."""
    own, above = file_of(earlier.where), [step.where for step in _callers(later)]
    if earlier.where in {later.where, *above} or later.where not in imported(file_of(above[0])):
        # The module itself; or it is the one that hands it on.
        return False
    wanted = f"{later.where}.{later.function.partition('.')[0]}"
    return wanted in imported(own) and _named(later.function, own)


def _faults(walk: Walk, graph: grimp.ImportGraph) -> list[str]:
    """Say where a walk does not go forward."""
    found = [fault for step in walk.steps for fault in _climbs(step, walk, graph)]
    for i, step in enumerate(walk.steps):
        # Steps that nobody here calls are programs of their own.
        turns = [s for s in walk.steps[i + 1 :] if s.caller == step.caller is not None]
        for earlier, later in product(
            _below(step, walk), [x for s in turns for x in _below(s, walk)]
        ):
            if _foresees(earlier, later):
                found.append(f"{earlier.where} imports {later.where}, which comes after it")
    return found


def test_the_picture_and_the_table_name_every_package_and_no_other() -> None:
    drawn = (ROOT / "docs" / "images" / "packages.svg").read_text(encoding="utf-8")
    named = [package.name for package in every_package()]
    assert {name for name in named if not name.endswith(".py")} == _folders()
    assert re.findall(r"^\| \[`([\w/.]+?)/?`\]", PAGE, re.MULTILINE) == named
    for name in named:
        assert re.search(rf">(.* )?{name.rpartition('/')[2]}\b", drawn), name


def test_every_package_says_what_it_is() -> None:
    assert [package.name for package in every_package() if not package.about] == []


def test_packages_that_other_pages_name_are_there() -> None:
    source = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    known = {path.rpartition("/")[2] for path in _folders()} | _folders()
    elsewhere = {"airflow", "docs", "tests", "src", "notebooks", "bench", "deploy"}
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for dotted in re.findall(r"`presagio((?:\.[a-z_0-9]+)+)", text):
            path = SOURCE.joinpath(NAME, *dotted[1:].split("."))
            # Tags in the registry have such names too.
            there = path.is_dir() or path.with_suffix(".py").is_file()
            assert there or f'"{NAME}{dotted.partition("_")[0]}' in source, f"{page.name}: {dotted}"
    for named in re.findall(r"`([a-z_]+)/`", PAGE.partition("## Promises")[0]):
        assert named in known | elsewhere, named


def test_there_are_the_four_walks() -> None:
    assert [walk.title for walk in WALKS] == [
        "A CSV file to its receipt",
        "Curated rows to a registered model",
        "A request to its answer",
        "A challenger to what is served",
    ]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_names_a_module_and_a_function_that_are_there(step: Step) -> None:
    assert file_of(step.where).is_file(), step.where
    assert _defined(step), step.function


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.file)
def test_a_walk_goes_forward_only(walk: Walk, graph: grimp.ImportGraph) -> None:
    assert _faults(walk, graph) == []


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ("1. `storage.objects:ObjectStore`\n   1. `ingest.filing:file_object`", "does not call"),
        ("1. `storage.objects:ObjectStore`\n   1. `ingest.filing:file_object`", "lies above"),
        ("1. `ingest.filing:file_object`\n   1. `storage.objects:ObjectStore.x`", "does not call"),
        (
            "1. `ingest.opening:open_intake`\n"
            "   1. `ingest.incoming:incoming_files`\n   2. `storage.objects:ObjectStore.list`",
            "comes after",
        ),
    ],
)  # fmt: skip
def test_a_walk_that_turns_back_is_seen(steps: str, fault: str, graph: grimp.ImportGraph) -> None:
    (walk,) = walks(f"### Wrong\n{steps}\n")
    assert any(fault in found for found in _faults(walk, graph))


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.file)
def test_arrows_in_a_picture_go_down_and_never_to_the_left(walk: Walk) -> None:
    drawn = (ROOT / "docs" / "images" / f"{walk.file}.svg").read_text(encoding="utf-8")
    arrows = re.findall(r'd="M([\d.]+) ([\d.]+) V([\d.]+) H([\d.]+)"', drawn)
    assert len(arrows) == sum(step.caller is not None for step in walk.steps)
    assert all(float(x) < float(to_x) and float(y) < float(to_y) for x, y, to_y, to_x in arrows)


def test_a_step_stands_below_the_one_before_it() -> None:
    for walk in WALKS:
        numbers = [tuple(map(int, step.number.split("."))) for step in walk.steps]
        assert all(first < second for first, second in pairwise(numbers))


def test_layers_name_what_is_there() -> None:
    names = {name for row in layers() for name in row}
    there = {
        path.stem for path in (SOURCE / NAME).iterdir()
        if (path.is_dir() and (path / "__init__.py").is_file()) or path.suffix == ".py"
    }  # fmt: skip
    assert names == there - {"__init__", "__main__"}


def test_readmes_list_packages_in_the_order_of_the_layers() -> None:
    wanted = [name for row in layers() for name in row if (SOURCE / NAME / name).is_dir()]
    for page in ("README.md", "README.es.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        named = re.findall(r"\[`(\w+)/`\]\(src/presagio/(\w+)\)", text)
        assert all(shown == linked for shown, linked in named)
        assert [shown for shown, _ in named] == wanted, page


def test_nothing_drawn_names_a_place_of_a_machine() -> None:
    pictures = [path.read_text("utf-8") for path in (ROOT / "docs" / "images").glob("*.svg")]
    for text, pattern in product([PAGE, *pictures], [r"/(work|home|root|Users)/", "localhost:"]):
        assert not re.search(pattern, text)
