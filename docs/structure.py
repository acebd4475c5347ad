"""What the source says of itself: packages in their layers, and the walks through them.

Packages and layers come from the import contracts and the docstrings, walks from the lists in
``architecture.md``. Nothing is imported: files are parsed.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
NAME = "presagio"

# Libraries by which a package speaks to something outside, or that few may import.
_OUTSIDE = {
    "airflow": "Airflow", "boto3": "S3", "fastapi": "FastAPI", "httpx": "HTTP", "mlflow": "MLflow",
    "onnxruntime": "ONNX Runtime", "sklearn": "scikit-learn",
    "sqlalchemy": "PostgreSQL", "typer": "Typer",
}  # fmt: skip
_STEP = re.compile(r"^( *)(?:\d+\.|-) `([\w./]+:[\w.]+)`[:,]? *(.*)$")


@dataclass(frozen=True)
class Package:
    """A package, or a module that is a layer by itself.

    Attributes
    ----------
    name
        Its path below ``src/presagio``, such as ``serving/http`` or ``errors.py``.
    about
        The first line of its docstring.
    outside
        What it speaks to besides our own packages.
    parts
        Its sub-packages.
    """

    name: str
    about: str
    outside: tuple[str, ...]
    parts: tuple["Package", ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a walk.

    Attributes
    ----------
    number
        Its place, such as ``1.2``: the second thing that the first step calls.
    where
        The module, ``presagio.jobs.sweep``, or a file that is none, ``airflow/dags/….py``.
    function
        The function, the class, or ``Class.method``.
    about
        What it does.
    caller
        The step that calls it; None where something outside does.
    """

    number: str
    where: str
    function: str
    about: str
    caller: "Step | None"


@dataclass(frozen=True)
class Walk:
    """A way through the packages, with its title."""

    title: str
    steps: tuple[Step, ...]

    @property
    def file(self) -> str:
        """The name of its picture, without suffix: what GitHub makes of the heading."""
        return re.sub(r"[^a-z0-9-]", "", self.title.lower().replace(" ", "-"))


def _contracts() -> list[dict[str, object]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, object]] = project["tool"]["importlinter"]["contracts"]
    return found


@cache
def layers(container: str = NAME) -> tuple[tuple[str, ...], ...]:
    """Return the layers of a package, the highest first; siblings in one layer side by side.

    Empty where no contract says how its parts lie.
    """
    for contract in _contracts():
        if contract["type"] == "layers" and container in contract.get("containers", ()):  # type: ignore[operator]
            rows: list[str] = contract["layers"]  # type: ignore[assignment]
            return tuple(tuple(re.split(r"\s*[|:]\s*", row.strip("()"))) for row in rows)
    return ()


def file_of(where: str) -> Path:
    """Return the file of a module, or of a path; it need not exist."""
    if "/" in where:
        return ROOT / where
    path = SOURCE.joinpath(*where.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one, without what is for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _executed(child)


def imported(path: Path, *, executed: bool = False) -> set[str]:
    """Return the modules that a file imports anywhere; of ``from a import b`` both a and a.b.

    Also those that type checkers alone see, unless only what is executed is wanted.
    """
    found: set[str] = set()
    for node in _executed(tree(path)) if executed else ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _outside(files: Iterator[Path]) -> tuple[str, ...]:
    libraries = {name.split(".")[0] for path in files for name in imported(path, executed=True)}
    return tuple(_OUTSIDE[name] for name in sorted(libraries & _OUTSIDE.keys()))


def _package(name: str) -> Package:
    folder = SOURCE / NAME / name
    if not folder.is_dir():
        module = folder.with_suffix(".py")
        return Package(f"{name}.py", _about(module), _outside(iter([module])))
    order = [part for row in layers(f"{NAME}.{name.replace('/', '.')}") for part in row]
    inner = sorted(
        (path.parent.name for path in folder.glob("*/__init__.py")),
        key=lambda part: (order.index(part) if part in order else len(order), part),
    )
    parts = tuple(_package(f"{name}/{part}") for part in inner)
    return Package(name, _about(folder / "__init__.py"), _outside(folder.rglob("*.py")), parts)


def _about(path: Path) -> str:
    return (ast.get_docstring(tree(path)) or "").split("\n")[0]


def packages() -> list[list[Package]]:
    """Return all packages by layer, the highest first."""
    return [[_package(name) for name in row] for row in layers()]


def every_package() -> Iterator[Package]:
    """Yield packages and sub-packages in the order of the layers."""

    def inner(package: Package) -> Iterator[Package]:
        yield package
        for part in package.parts:
            yield from inner(part)

    for row in packages():
        for package in row:
            yield from inner(package)


def walks(page: str) -> list[Walk]:
    """Read the walks of a page: each a heading and a list, whose items name code."""
    return [
        Walk(title, steps)
        for title, body in re.findall(r"^### (.+)\n((?:(?!#).*\n)*)", page, flags=re.MULTILINE)
        if (steps := tuple(_steps(body)))
    ]


def _steps(body: str) -> Iterator[Step]:
    above: list[tuple[int, Step, int]] = []
    roots = 0
    for line in body.splitlines():
        found = _STEP.match(line)
        if not found:
            continue
        indent = len(found[1])
        while above and above[-1][0] >= indent:
            above.pop()
        if above:
            level, caller, called = above[-1]
            above[-1] = (level, caller, called + 1)
            number = f"{caller.number}.{called + 1}"
        else:
            caller, roots = None, roots + 1
            number = str(roots)
        where, _, function = found[2].partition(":")
        if "/" not in where:
            where = f"{NAME}.{where}"
        step = Step(number, where, function, found[3], caller)
        above.append((indent, step, 0))
        yield step


def _place(rows: tuple[tuple[str, ...], ...], name: str) -> int:
    return next((i for i, row in enumerate(rows) if name in row), 0)


def rank(where: str) -> tuple[int, int]:
    """Return how far down a module lies: the layer of its package, and its layer in there."""
    if "/" in where:
        return (-1, 0)
    parts = where.split(".")[1:]
    inner = layers(f"{NAME}.{parts[0]}")
    return _place(layers(), parts[0]), _place(inner, parts[1]) if len(parts) > 1 else 0


def lane_of(where: str) -> str:
    """Return the package that a step belongs to, in more detail where it has layers of its own.

    Modules above all sub-packages are their package's; others stand for themselves.
    """
    if "/" in where:
        return where.rpartition("/")[0]
    parts = where.split(".")[1:]
    inner = layers(f"{NAME}.{parts[0]}")
    folders = [i for i, row in enumerate(inner) if any(_is_package(parts[0], n) for n in row)]
    if len(parts) == 1 or not folders or _place(inner, parts[1]) < folders[0]:
        return parts[0]
    return "/".join(parts[:2])


def _is_package(*parts: str) -> bool:
    return SOURCE.joinpath(NAME, *parts).is_dir()
