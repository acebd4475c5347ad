"""Workbooks (.xlsx): one sheet, as cells of text, with the columns that hold numbers only."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.machine.headers import HeaderLimits, bounded, check_header
from presagio.readings.formats.cells import CellBounds
from presagio.readings.formats.parquet import Parts, as_block
from presagio.sentences import Count, Sentence

if TYPE_CHECKING:
    from fastexcel import ExcelReader, ExcelSheet

# The row of the sheet, from 1; the first row that has a cell is the header.
ROW = "@row"
_ROWS = 50_000
_NUMBERS = ("int", "float")
_CUT = 1e-9


def _open(path: Path, most_bytes: int) -> "ExcelReader":
    import fastexcel  # noqa: PLC0415 - only where workbooks are read

    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as err:
        raise UnreadableFileError(
            "corrupt",
            Sentence(
                "this is no workbook in .xlsx (%(why)s); save it again, without a password",
                {"why": str(err)},
            ),
        ) from err
    if unpacked > most_bytes:
        raise UnreadableFileError(
            "too_large",
            Sentence(
                "it unpacks to %(bytes)s bytes, and at most %(most)s are taken; split it, or raise "
                "PRESAGIO_INTAKE_MAX_BYTES or PRESAGIO_INTAKE_MAX_RATIO",
                {"bytes": Count(unpacked), "most": Count(most_bytes)},
            ),
        )
    try:
        return fastexcel.read_excel(str(path))
    except fastexcel.FastExcelError as err:
        raise _corrupt(err) from err


def _corrupt(err: Exception) -> UnreadableFileError:
    first = str(err).partition("\n")[0][:200]
    return UnreadableFileError(
        "corrupt", Sentence("the workbook cannot be read (%(why)s)", {"why": first})
    )


def _sheet_name(book: "ExcelReader", wanted: str | None) -> str:
    names = book.sheet_names
    if not names:
        raise UnreadableFileError("empty", Sentence("the workbook has no sheet"))
    if wanted is not None and wanted not in names:
        raise UnreadableFileError(
            "missing_sheet",
            Sentence(
                "the workbook has no sheet %(sheet)s (PRESAGIO_INTAKE_SHEET); it has %(names)s",
                {"sheet": repr(wanted), "names": bounded(names)},
            ),
        )
    return wanted or names[0]


def _load(book: "ExcelReader", sheet: str, **options: Any) -> "ExcelSheet":
    import fastexcel  # noqa: PLC0415 - only where workbooks are read

    try:
        loaded: ExcelSheet = book.load_sheet(sheet, header_row=None, **options)
    except fastexcel.FastExcelError as err:
        raise _corrupt(err) from err
    return loaded


def read_header(path: Path, arguments: Mapping[str, Any]) -> Parts:
    """Return the sheet, the names of its columns, and which of them hold nothing but numbers.

    Raises
    ------
    UnreadableFileError
        If the sheet is not there or empty, or its header is too long.
    """
    book = _open(path, arguments["most_bytes"])
    sheet = _sheet_name(book, arguments["sheet"])
    first = _load(book, sheet, n_rows=1, dtypes="string").to_polars()
    if first.is_empty():
        raise UnreadableFileError(
            "empty",
            Sentence("the sheet %(sheet)s has no header and no rows", {"sheet": repr(sheet)}),
        )
    names = [cell or "" for cell in first.row(0)]
    check_header(names, HeaderLimits(**arguments["headers"]))
    guessed = _load(book, sheet, skip_rows=1, schema_sample_rows=None)
    numeric = {column.index for column in guessed.selected_columns if column.dtype in _NUMBERS}
    yield {"sheet": sheet, "names": names, "numeric": [i in numeric for i in range(len(names))]}, []


def _cells(book: "ExcelReader", sheet: str) -> pl.DataFrame:
    """Return a sheet as text; as text its numbers are cut to nine decimals, so they come twice."""
    texts = _load(book, sheet, dtypes="string").to_polars()
    numbers = _load(book, sheet, dtypes="float").to_polars()
    return pl.DataFrame([_exact(text, numbers[text.name]) for text in texts.iter_columns()])


def _exact(text: pl.Series, number: pl.Series) -> pl.Series:
    shown = text.cast(pl.Float64, strict=False)
    cut = (shown != number) & ((shown - number).abs() <= _CUT)
    return number.cast(pl.String).zip_with(cut.fill_null(value=False), text)


def read_cells(path: Path, arguments: Mapping[str, Any]) -> Parts:
    """Read columns by position: ``columns`` has a position, as text, and the name that is wanted.

    Rows without any cell are left out; ``@row`` tells which those were.
    """
    book = _open(path, arguments["most_bytes"])
    table = _cells(book, arguments["sheet"])
    names: dict[str, str] = arguments["columns"]
    bounds = CellBounds(arguments["cell_bytes"], arguments["text_bytes"])
    wanted = [pl.col(table.columns[int(at)]).alias(name) for at, name in names.items()]
    yield from _parts(table.slice(1), wanted, bounds, list(names.values()))


def _parts(
    table: pl.DataFrame, wanted: list[pl.Expr], bounds: CellBounds, names: list[str]
) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    numbered = table.with_row_index(ROW, offset=2).with_columns(pl.col(ROW).cast(pl.Int64))
    for rows in numbered.iter_slices(_ROWS):
        empty = pl.all_horizontal(pl.col(table.columns).is_null())
        for part in bounds.bound(rows.filter(~empty).select(ROW, *wanted), names):
            yield {"rows": part.height}, [as_block(part)]
    if table.is_empty():
        for part in bounds.bound(numbered.select(ROW, *wanted), names):
            yield {"rows": 0}, [as_block(part)]
