"""The frame of a page, and its tables: wide on a screen, one card a row on a phone."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

_STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1d2733; background: #fff }
h1 { font-size: 1.6rem; line-height: 1.25 } h2 { font-size: 1.2rem; margin: 2rem 0 .25rem }
p { margin: .5rem 0 } .lead { font-size: 1.1rem }
.note, .legend, figcaption { color: #52606d; font-size: .9rem }
table { border-collapse: collapse; margin: .5rem 0 1rem }
th, td { border-bottom: 1px solid #d3dae1; padding: .3rem .6rem; text-align: left;
  vertical-align: top }
thead th { border-bottom: 2px solid #7b8794; font-size: .9rem }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
td.number { white-space: nowrap } .fields td, code, pre { overflow-wrap: anywhere }
tr.first td, tr.first th { background: #eef4fb }
.badge { border-radius: .25rem; padding: .1rem .4rem; background: #eceff2; white-space: normal }
.badge.alarm { background: #fbdcd8; color: #8a1c10; font-weight: 600 }
.badge.doubt { background: #fff2cc; color: #6b4e00 }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
figure { margin: 0 } figure h3 { font-size: 1rem; margin: .5rem 0 .1rem }
svg { display: block; width: 100%; height: auto; max-width: 30rem }
svg.swatch { display: inline; width: .8em }
svg text { font: 10px system-ui, sans-serif; fill: #52606d }
code, pre { font: .9em ui-monospace, monospace; background: #f2f4f7; border-radius: .2rem }
code { padding: .05rem .25rem } pre { padding: .75rem; overflow-x: auto; white-space: pre-wrap }
@media (max-width: 45rem) {
  body { margin: 1rem auto } .charts { grid-template-columns: 1fr }
  table, tbody, tr, th[scope=row], td { display: block }
  table { width: 100% }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  tr { border-bottom: 1px solid #7b8794; padding: .4rem 0 }
  th[scope=row], td { border: 0; padding: .1rem .25rem }
  td, td.number { display: flex; justify-content: space-between; gap: 1rem; text-align: right }
  td::before { content: attr(data-label); color: #52606d; text-align: left; flex: none;
    max-width: 60% }
  td:empty { display: none }
  .fields tr { display: flex; justify-content: space-between; gap: 1rem }
}
"""


@dataclass(frozen=True)
class Badge:
    """A word that stands out: ``alarm`` where something is wrong, ``doubt`` where it may be."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Number:
    """A number as text; it stands to the right."""

    text: str


Cell = str | Badge | Number


def text(value: object) -> str:
    """Return a value as text that is safe in HTML."""
    return html.escape(str(value))


def swatch(colour: str) -> str:
    """Return a square of a colour, for a legend."""
    square = f'<rect width="10" height="10" fill="{text(colour)}"/>'
    return f'<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">{square}</svg>'


def badge(shown: Badge) -> str:
    """Return a badge as HTML."""
    return f'<span class="badge {text(shown.kind)}">{text(shown.text)}</span>'


def _cell(title: str, value: Cell) -> str:
    label = f' data-label="{text(title)}"' if title else ""
    if isinstance(value, Number):
        return f'<td class="number"{label}>{text(value.text)}</td>'
    shown = badge(value) if isinstance(value, Badge) else text(value)
    return f"<td{label}>{shown}</td>"


def table(titles: Sequence[str], rows: Sequence[Sequence[Cell]], *, first: bool = False) -> str:
    """Return a table as HTML; the first cell of each row names it.

    Parameters
    ----------
    titles
        Titles of the columns.
    rows
        Cells, as many as there are titles.
    first
        Whether the first row stands out.
    """
    numeric = [all(isinstance(row[i], Number) for row in rows) for i in range(len(titles))]
    head = "".join(
        # What has no title is the title of nothing.
        f'<th scope="col"{" class=number" if right else ""}>{text(title)}</th>'
        if title
        else "<td></td>"
        for title, right in zip(titles, numeric, strict=True)
    )
    lines = []
    for place, row in enumerate(rows):
        cells = "".join(_cell(t, c) for t, c in zip(titles[1:], row[1:], strict=True))
        kind = ' class="first"' if first and not place else ""
        lines.append(f'<tr{kind}><th scope="row">{text(row[0])}</th>{cells}</tr>')
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<table class="cards">{body}</table>'


def fields(values: Sequence[tuple[str, object]]) -> str:
    """Return names and values as HTML, one a line."""
    rows = "".join(f'<tr><th scope="row">{text(n)}</th><td>{text(v)}</td></tr>' for n, v in values)
    return f'<table class="fields"><tbody>{rows}</tbody></table>'


def section(title: str, *parts: str) -> str:
    """Return a section of a page; nothing where it has no parts."""
    body = "".join(parts)
    return f"<h2>{text(title)}</h2>{body}" if body else ""


def page(title: str, body: str) -> str:
    """Return a whole page; ``body`` is HTML, ``title`` is text."""
    name = text(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{name}</h1>\n{body}\n</body></html>\n"
    )
