"""Cells of text, of bounded length."""

from collections.abc import Iterator, Sequence

import polars as pl

from presagio.errors import UnreadableFileError
from presagio.sentences import Count, Sentence

# The name of the first column whose cell is too long, null in rows without one.
TOO_LONG = "@too_long"
# The names of the columns of what is wrong with a row before its values are looked at, in words and
# as a code, or null.
FAULT, REASON = "@fault", "@reason"
_SHOWN = 40
# Shorter cells are no bomb, however often they stand there.
_SHORT_BYTES = 64
_PART_BYTES = 16 << 20


def cut(name: str, most_bytes: int) -> pl.Expr:
    """Return a column of text in which what is too long is cut, and marked as cut."""
    text = pl.col(name)
    shown = pl.concat_str(text.str.slice(0, _SHOWN), pl.lit("…"))
    return pl.when(text.str.len_bytes() > most_bytes).then(shown).otherwise(text)


def _is_long(name: str, most_bytes: int) -> pl.Expr:
    return pl.col(name).str.len_bytes() > most_bytes


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn columns of categories into text in which rows with one name share it.

    A cast would make the text of each row anew: a small file of many rows with one long name takes
    gigabytes then.
    """
    return frame.with_columns(
        _texts(column) for column in frame if isinstance(column.dtype, pl.Categorical | pl.Enum)
    )


def _texts(column: pl.Series) -> pl.Series:
    names = column.drop_nulls().unique()
    return column.to_physical().replace_strict(
        names.to_physical(), names.cast(pl.String), default=None, return_dtype=pl.String
    )


def as_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn columns into text, each number so that it reads as the same one."""
    # What a 32-bit number is as text is another number in 64 bits.
    singles = [name for name, kind in frame.schema.items() if kind == pl.Float32]
    return frame.with_columns(pl.col(singles).cast(pl.Float64)).cast(pl.String)


class CellBounds:
    """Bounds the text of one file, a part at a time.

    Parameters
    ----------
    cell_bytes
        Longest cell.
    text_bytes
        How long all cells together may be, short ones left out.
    """

    def __init__(self, cell_bytes: int, text_bytes: int) -> None:
        self._cell_bytes, self._text_bytes, self._seen = cell_bytes, text_bytes, 0

    def bound(self, frame: pl.DataFrame, texts: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield a frame in parts that are not too large, with the column ``@too_long``.

        Parameters
        ----------
        frame
            Rows; text is text, not categories.
        texts
            The columns whose length nobody knows before.

        Raises
        ------
        UnreadableFileError
            ``too_large``, if the file's text is longer than it may be.
        """
        first: list[pl.Expr] = [
            pl.when(_is_long(name, self._cell_bytes)).then(pl.lit(name)) for name in texts
        ] or [pl.lit(None, pl.String)]
        bounded = frame.with_columns(
            *(cut(name, self._cell_bytes).alias(name) for name in texts),
            pl.coalesce(first).alias(TOO_LONG),
        )
        length = pl.sum_horizontal([pl.col(n).str.len_bytes().cast(pl.Int64) for n in texts] or [0])
        lengths = bounded.select(length.alias("all"))["all"]
        self._count(bounded, texts)
        yield from _pieces(bounded, lengths)

    def _count(self, frame: pl.DataFrame, texts: Sequence[str]) -> None:
        for name in texts:
            lengths = frame[name].str.len_bytes().cast(pl.Int64)
            self._seen += int(lengths.filter(lengths > _SHORT_BYTES).sum() or 0)
        if self._seen > self._text_bytes:
            raise UnreadableFileError(
                "too_large",
                Sentence(
                    "its text unpacks to more than %(most)s bytes; split it, or raise "
                    "PRESAGIO_INTAKE_MAX_BYTES or PRESAGIO_INTAKE_MAX_RATIO",
                    {"most": Count(self._text_bytes)},
                ),
            )


def _pieces(frame: pl.DataFrame, lengths: pl.Series) -> Iterator[pl.DataFrame]:
    if frame.height <= 1 or int(lengths.sum() or 0) <= _PART_BYTES:
        yield frame
        return
    half = frame.height // 2
    yield from _pieces(frame.head(half), lengths.head(half))
    yield from _pieces(frame.slice(half), lengths.slice(half))
