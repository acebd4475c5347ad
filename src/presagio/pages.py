"""Reports as pages that stand alone: HTML without scripts, styles from elsewhere or pictures."""

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }
table { border-collapse: collapse; margin: .5rem 0 1rem }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .75rem; text-align: left }
thead th { border-bottom: 2px solid #666 }
td.number { text-align: right; font-variant-numeric: tabular-nums }
"""


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, Mapping):
        value = ", ".join(f"{name} = {own}" for name, own in value.items())
    return f"<td>{html.escape(str(value))}</td>"


def _row(name: str, values: list[Any]) -> str:
    cells = "".join(_cell(value) for value in values)
    return f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>'


def table(values: Mapping[str, Any]) -> str:
    """Make a table: of names and values, or with a column a field where values have fields."""
    fields = next(iter(values.values()), None)
    if not isinstance(fields, Mapping) or any(not isinstance(v, Mapping) for v in values.values()):
        rows = "".join(_row(name, [value]) for name, value in values.items())
        return f"<table><tbody>{rows}</tbody></table>"
    names = list(dict.fromkeys(name for value in values.values() for name in value))
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in ("", *names))
    rows = "".join(
        _row(name, [value.get(field, "") for field in names]) for name, value in values.items()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _section(name: str, value: Any) -> str:
    title = html.escape(name.replace("_", " ").capitalize())
    if isinstance(value, list):
        items = "".join(f"<li>{html.escape(str(item))}</li>" for item in value)
        return f"<h2>{title}</h2><ul>{items}</ul>"
    if not isinstance(value, Mapping):
        return f"<h2>{title}</h2><p>{html.escape(str(value))}</p>"
    plain = {key: own for key, own in value.items() if key != "detectors"}
    body = table(plain) if plain else "<p>none</p>"
    if "detectors" in value:
        body += table({own["label"]: own for own in value["detectors"]})
    return f"<h2>{title}</h2>{body}"


def sections(values: Mapping[str, Any]) -> str:
    """Return a heading and a table, list or text for each value."""
    return "\n".join(_section(name, value) for name, value in values.items())


def card_title(card: Mapping[str, Any]) -> str:
    """Return the title of a model card's page."""
    return f"Model card: {card.get('machine', 'unknown machine')}"


def picture(path: Path) -> str:
    """Return a PNG file as HTML that needs no file beside it."""
    content = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(path.stem.replace("_", " "))
    return f'<img alt="{name}" src="data:image/png;base64,{content}">'


def page(title: str, body: str) -> str:
    """Return a whole page; ``body`` is HTML, ``title`` is text."""
    title = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )
