"""Pictures of the structure as SVG: the packages in their layers, and the walks through them."""

import textwrap
from collections.abc import Iterator, Sequence
from html import escape

from structure import Package, Step, Walk, lane_of, rank

_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
_SANS = "-apple-system, Segoe UI, Helvetica, Arial, sans-serif"
_INK, _SOFT, _LINE, _BOX, _PILL = "#1f2328", "#59636e", "#8c959f", "#ffffff", "#ddf4ff"
_PAGE, _LANE, _HEAD = "#f6f8fa", "#eaeef2", "#0969da"
_CHARACTER = 6.7
_WIDTH, _EDGE, _GAP = 920, 36, 8
# Of a walk: the height of its head, a row and a box, and how far a box is indented.
_TOP, _ROW, _HIGH, _INDENT = 46, 44, 36, 14


def _text(
    x: float, y: float, text: str, *, size: int = 12, color: str = _INK, mono: bool = False,
    bold: bool = False, anchor: str = "start",
) -> str:  # fmt: skip
    family, weight = _MONO if mono else _SANS, ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-family="{family}" font-size="{size}"{weight} '
        f'fill="{color}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _box(x: float, y: float, width: float, height: float, fill: str, line: str = _LINE) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" '
        f'fill="{fill}" stroke="{line}"/>'
    )


def _svg(width: float, height: float, title: str, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{_LINE}"/></marker></defs>'
    )
    page = f'<rect width="100%" height="100%" rx="8" fill="{_PAGE}"/>'
    return "\n".join([head, page, *body, "</svg>"]) + "\n"


def _arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{_LINE}" marker-end="url(#tip)"/>'


def _pills(right: float, y: float, names: Sequence[str]) -> Iterator[str]:
    """Draw names in rounded boxes, the last of them at the right edge."""
    for name in reversed(names):
        width = len(name) * 6.2 + 12
        right -= width
        yield _box(right, y, width, 18, _PILL, _PILL)
        yield _text(right + width / 2, y + 13, name, size=11, color=_HEAD, anchor="middle")
        right -= 5


def _lines(package: Package, width: float) -> tuple[list[str], list[str]]:
    """Return what a package is and its parts, in lines that fit a box."""
    inside, parts = width - 24, " ".join(f"{p.name.rpartition('/')[2]}/" for p in package.parts)
    about = textwrap.wrap(package.about.replace("``", ""), int(inside / 6.1))
    return about, textwrap.wrap(parts, int(inside / _CHARACTER))


def _package(package: Package, x: float, y: float, width: float, height: float) -> Iterator[str]:
    about, parts = _lines(package, width)
    slash = "" if package.name.endswith(".py") else "/"
    yield _box(x, y, width, height, _BOX)
    yield _text(x + 12, y + 20, package.name + slash, size=14, mono=True, bold=True)
    yield from _pills(x + width - 10, y + 7, package.outside)
    for i, line in enumerate([*about, *parts]):
        below = i >= len(about)
        yield _text(x + 12, y + 38 + 16 * i, line, color=_SOFT if below else _INK, mono=below)


def packages_picture(rows: Sequence[Sequence[Package]]) -> str:
    """Draw the packages, a layer a row, the highest first."""
    body, y = list[str](), 12.0
    for row in rows:
        width = (_WIDTH - _EDGE - 12 - _GAP * (len(row) - 1)) / len(row)
        height = 34 + 16 * max(sum(map(len, _lines(package, width))) for package in row)
        for i, package in enumerate(row):
            body += _package(package, _EDGE + i * (width + _GAP), y, width, height)
        y += height + _GAP
    side = _text(0, 0, "imports only what lies below", size=11, color=_SOFT, anchor="middle")
    return _svg(
        _WIDTH, y + 4, "The packages of Presagio in their layers",
        [
            _arrow(f"M26 {_EDGE / 2:g} V{y - 8:g}"),
            f'<g transform="translate(16 {y / 2:g}) rotate(-90)">{side}</g>',
            *body,
        ],
    )  # fmt: skip


class _Lanes:
    """Where steps stand: a column a package, the higher the further left; a row a step."""

    def __init__(self, walk: Walk) -> None:
        self._rows = {step.number: i for i, step in enumerate(walk.steps)}
        order = sorted({(rank(s.where), lane_of(s.where)) for s in walk.steps})
        self.edges, x = dict[str, tuple[float, float]](), 10.0
        for lane in dict.fromkeys(lane for _, lane in order):
            steps = [step for step in walk.steps if lane_of(step.where) == lane]
            inside = max(_INDENT * _depth(s) + _CHARACTER * max(map(len, _label(s))) for s in steps)
            width = max(inside + 20, *(len(part) * 7.3 + 14 for part in lane.split("/")))
            self.edges[lane] = (x, width)
            x += width + 6
        self.width, self.height = x + 4, _TOP + _ROW * len(walk.steps) + 4

    def place(self, step: Step) -> tuple[float, float, float]:
        """Return left, top and width of a step's box."""
        x, width = self.edges[lane_of(step.where)]
        inside = _INDENT * _depth(step)
        return x + 4 + inside, _TOP + _ROW * self._rows[step.number], width - 8 - inside


def _depth(step: Step) -> int:
    """Count the callers of a step in its own lane, one calling the other."""
    caller, lane = step.caller, lane_of(step.where)
    return 1 + _depth(caller) if caller is not None and lane_of(caller.where) == lane else 0


def _label(step: Step) -> tuple[str, str]:
    """Return the two lines of a step's box: its module within its lane, and its function."""
    if "/" in step.where:
        return step.where.rpartition("/")[2], step.function
    inner = step.where.split(".")[1:]
    below = inner[lane_of(step.where).count("/") + 1 :]
    return ".".join(below) or inner[-1], step.function


def _head(x: float, lane: str) -> Iterator[str]:
    *outer, name = lane.split("/")
    if outer:
        yield _text(x, 22, f"{outer[0]}/", size=11, color=_SOFT, mono=True, anchor="middle")
    yield _text(x, 37, name, color=_HEAD, mono=True, bold=True, anchor="middle")


def walk_picture(walk: Walk) -> str:
    """Draw a walk. An arrow goes from a step to one that it calls: down, and never to the left."""
    lanes, body = _Lanes(walk), list[str]()
    for lane, (x, width) in lanes.edges.items():
        body += [
            _box(x, 8, width, lanes.height - 16, _LANE, _LANE),
            *_head(x + width / 2, lane),
        ]
    for step in walk.steps:
        x, y, width = lanes.place(step)
        first, second = _label(step)
        if step.caller is not None:
            from_x, from_y, _ = lanes.place(step.caller)
            body.append(_arrow(f"M{from_x + 8:g} {from_y + _HIGH:g} V{y + _HIGH / 2:g} H{x:g}"))
        body += [
            _box(x, y, width, _HIGH, _BOX),
            _text(x + 7, y + 15, first, size=11, color=_SOFT, mono=True),
            _text(x + 7, y + 29, second, size=11, mono=True),
        ]
    return _svg(lanes.width, lanes.height, walk.title, body)
