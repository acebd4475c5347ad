"""Public names say what a reader needs: the errors that they raise, the shapes of arrays.

That each has a docstring in NumPy's style is ruff's to see.
"""

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SOURCE = Path(__file__).parents[2] / "src" / "presagio"
# A command's docstring is its help: what it exits with is in docs/commands.md.
PACKAGES = sorted(
    path.name
    for path in SOURCE.iterdir()
    if path.is_dir() and path.name not in {"cli", "__pycache__"}
)
ARRAYS = {"ArrayLike", "Bools", "Codes", "Floats", "NDArray"}
_ERRORS = {name for name, kind in vars(builtins).items() if isinstance(kind, type)}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _public(body: list[ast.stmt], about: str = "") -> Iterator[tuple[Function, str]]:
    """Yield public functions and methods, each with the docstrings that speak of it."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body, ast.get_docstring(node) or "")
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield node, f"{about}\n{ast.get_docstring(node) or ''}"


def _own(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function that are not those of a function inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Function | ast.Lambda):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def _raised(function: Function) -> set[str]:
    """Return the errors that a function raises by name."""
    names = set()
    for node in _own(function):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name)) | ast.Name(id=name)):
                if not name.startswith("_") and (name.endswith("Error") or name in _ERRORS):
                    names.add(name)
    return names


def _arrays(function: Function) -> bool:
    """Whether a function takes or gives an array."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    hints = [argument.annotation for argument in every] + [function.returns]
    return any(
        isinstance(node, ast.Name) and node.id in ARRAYS
        for hint in hints
        if hint is not None
        for node in ast.walk(hint)
    )


def _missing(file: Path) -> Iterator[str]:
    for function, about in _public(ast.parse(file.read_text(encoding="utf-8")).body):
        place = f"{file.relative_to(SOURCE)}:{function.lineno} {function.name}"
        for name in sorted(_raised(function)):
            if name not in about:
                yield f"{place}: raises {name}"
        if _arrays(function) and "shape" not in about.lower():
            yield f"{place}: an array without its shape"


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_say_errors_and_shapes(package: str) -> None:
    files = sorted((SOURCE / package).rglob("*.py"))
    found = [fault for file in files for fault in _missing(file)]
    assert found == []
