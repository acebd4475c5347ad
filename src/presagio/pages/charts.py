"""Charts as SVG within a page: axes, ticks and titles, and no script."""

from collections.abc import Sequence

from presagio.pages.elements import text
from presagio.pages.values import Point
from presagio.pages.writing import ENGLISH, Writing

THEN, NOW = "#b8c2cc", "#2f6db5"
_WIDTH, _LEFT, _RIGHT, _TOP = 360, 38, 10, 8
_CHARACTER = 5.6  # width of a character of a tick's label
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


def label(x: float, y: float, shown: str, anchor: str = "middle") -> str:
    """Write text at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(shown)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str = 'stroke="#e1e6eb"') -> str:
    """Draw a line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


AXIS = 'stroke="#7b8794"'


def svg(height: int, about: str, parts: Sequence[str]) -> str:
    """Put the parts of a chart together, with what a screen reader says of it."""
    return (
        f'<svg role="img" aria-label="{text(about)}" viewBox="0 0 {_WIDTH} {height}">'
        f"{''.join(parts)}</svg>"
    )


def _edge_labels(edges: Sequence[float], step: float, y: float, say: Writing) -> list[str]:
    """Label where one bin ends and the next begins; only as many as there is place for."""
    names = [say.significant(edge, 4) for edge in edges]
    needed = (max(map(len, names)) + 1.5) * _CHARACTER
    every = max(1, -(-int(needed) // max(int(step), 1)))
    labels = []
    for i, name in enumerate(names):
        x = _LEFT + (i + 1) * step
        labels.append(line(x, y, x, y + 4, AXIS))
        if i % every == 0:
            labels.append(label(x, y + 15, name))
    return labels


def share_bars(
    name: str, shares: Sequence[tuple[str, float, float]], edges: Sequence[float],
    say: Writing = ENGLISH,
) -> str:  # fmt: skip
    """Draw the share of rows in each bin, in the training data and now.

    Parameters
    ----------
    name
        What stands below the axis.
    shares
        The name of each bin, its share then and its share now.
    edges
        Where bins of numbers meet; empty for categories, which are named instead.
    say
        Writes texts and numbers.
    """
    plot, height = 120, 178
    bottom, step = _TOP + plot, (_WIDTH - _LEFT - _RIGHT) / max(len(shares), 1)
    highest = max((max(then, now) for _, then, now in shares), default=0.0) or 1.0
    tick = next((size for size in _STEPS if highest / size <= 4), 1.0)  # noqa: PLR2004
    top = tick * -(-highest // tick)
    parts = []
    for i in range(round(top / tick) + 1):
        y = bottom - plot * i * tick / top
        parts += [
            line(_LEFT, y, _WIDTH - _RIGHT, y),
            label(_LEFT - 4, y + 3, f"{i * tick:.0%}", "end"),
        ]
    for i, (bin_name, then, now) in enumerate(shares):
        for place, share, colour, when in (
            (0.1, then, THEN, say.phrase("training data")), (0.5, now, NOW, say.phrase("now")),
        ):  # fmt: skip
            tall = plot * share / top
            parts.append(
                f'<rect x="{_LEFT + (i + place) * step:.1f}" y="{bottom - tall:.1f}" '
                f'width="{0.4 * step:.1f}" height="{tall:.1f}" fill="{colour}">'
                f"<title>{text(bin_name)}: {say.percent(share)} ({text(when)})</title></rect>"
            )
        if not edges:
            parts.append(label(_LEFT + (i + 0.5) * step, bottom + 15, bin_name))
    parts.append(line(_LEFT, bottom, _WIDTH - _RIGHT, bottom, AXIS))
    if edges:
        parts += _edge_labels(edges, step, bottom, say)
    parts.append(label(_LEFT + (_WIDTH - _LEFT - _RIGHT) / 2, bottom + 34, name))
    about = say.phrase("Share of rows by %(name)s, in the training data and now", name=name)
    return svg(height, about, parts)


def curve(
    points: Sequence[Point], *, x_title: str, y_title: str, diagonal: bool = False,
    dots: bool = False, mark: Point | None = None, say: Writing = ENGLISH,
) -> str:  # fmt: skip
    """Draw a curve in the unit square.

    Parameters
    ----------
    points
        Its points, both values from 0 to 1.
    x_title, y_title
        What the axes say.
    diagonal
        Whether to draw the diagonal, dashed: chance, or perfect calibration.
    dots
        Whether each point is a dot.
    mark
        A point that stands out: the model's threshold.
    say
        Writes texts and numbers.
    """
    size, height = 270, 322
    left, bottom = 44, _TOP + size

    def place(point: Point) -> tuple[float, float]:
        x, y = (min(max(value, 0.0), 1.0) for value in point)
        return left + size * x, bottom - size * y

    parts = []
    for i in range(5):
        x, y = place((i / 4, i / 4))
        parts += [line(x, _TOP, x, bottom), line(left, y, left + size, y)]
        parts += [
            label(x, bottom + 14, say.significant(i / 4, 3)),
            label(left - 5, y + 3, say.significant(i / 4, 3), "end"),
        ]
    parts += [
        line(left, bottom, left + size, bottom, AXIS),
        line(left, _TOP, left, bottom, AXIS),
    ]
    if diagonal:
        parts.append(line(left, bottom, left + size, _TOP, f'{AXIS} stroke-dasharray="3 4"'))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, points))
    parts.append(f'<polyline points="{path}" fill="none" stroke="{NOW}" stroke-width="2"/>')
    marked = [*(points if dots else ()), *([mark] if mark else [])]
    for point in marked:
        x, y = place(point)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{NOW}"/>')
    parts.append(label(left + size / 2, bottom + 32, x_title))
    middle = _TOP + size / 2
    parts.append(
        f'<text x="10" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 10 {middle:.0f})">{text(y_title)}</text>'
    )
    return svg(height, say.phrase("%(y)s by %(x)s", y=y_title, x=x_title), parts)
