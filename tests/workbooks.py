"""Workbooks (.xlsx) made by hand, honest and hostile."""

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

_CONTENT = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/'
    '2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
    'package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override '
    'PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'spreadsheetml.sheet.main+xml"/></Types>'
)
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
# Styles: 0 is plain, 1 is a date.
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs>'
    "</styleSheet>"
)


class Date(float):
    """A day as a spreadsheet counts it."""


class Formula(str):
    """A formula; what it gave is not stored."""

    __slots__ = ()


Cell = str | float | bool | None


def column(i: int) -> str:
    """Return the letters of a column."""
    letters = ""
    i += 1
    while i:
        i, rest = divmod(i - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _cell(value: Cell, place: str) -> str:
    match value:
        case None:
            return ""
        case bool():
            kind, inside = ' t="b"', f"<v>{int(value)}</v>"
        case Formula():
            kind, inside = "", f"<f>{escape(value)}</f>"
        case str() if value.startswith("#"):
            kind, inside = ' t="e"', f"<v>{value}</v>"
        case str():
            kind, inside = ' t="inlineStr"', f"<is><t>{escape(value)}</t></is>"
        case Date():
            kind, inside = ' s="1"', f"<v>{float(value)}</v>"
        case _:
            kind, inside = "", f"<v>{value!r}</v>"
    return f'<c r="{place}"{kind}>{inside}</c>'


def _row(i: int, cells: Sequence[Cell]) -> str:
    return f'<row r="{i}">{"".join(_cell(v, f"{column(j)}{i}") for j, v in enumerate(cells))}</row>'


def sheet_xml(rows: Sequence[Sequence[Cell]]) -> str:
    """Return the XML of a sheet."""
    lines = "".join(_row(i, row) for i, row in enumerate(rows, start=1))
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>'


def workbook_of(sheets: dict[str, str], **parts: str) -> bytes:
    """Return a workbook of sheets as XML, and other parts by their path below ``xl/``."""
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{i}" r:id="rId{i}"/>'
        for i, name in enumerate(sheets, start=1)
    )
    linked = "".join(
        f'<Relationship Id="rId{i}" Type="{_RELATIONS}/worksheet" Target="worksheets/s{i}.xml"/>'
        for i, _ in enumerate(sheets, start=1)
    )
    linked += f'<Relationship Id="rIdS" Type="{_RELATIONS}/styles" Target="styles.xml"/>'
    if "sharedStrings" in parts:
        linked += (
            f'<Relationship Id="rIdT" Type="{_RELATIONS}/sharedStrings" '
            'Target="sharedStrings.xml"/>'
        )
    files = {
        "[Content_Types].xml": _CONTENT,
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{listed}'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{linked}</Relationships>',
        "xl/styles.xml": _STYLES,
    }
    files |= {f"xl/worksheets/s{i}.xml": xml for i, xml in enumerate(sheets.values(), start=1)}
    files |= {f"xl/{name}.xml": xml for name, xml in parts.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def workbook(*rows: Sequence[Cell], **sheets: Sequence[Sequence[Cell]]) -> bytes:
    """Return a workbook whose first sheet has these rows."""
    return workbook_of(
        {"Readings": sheet_xml(rows), **{name: sheet_xml(cells) for name, cells in sheets.items()}}
    )
