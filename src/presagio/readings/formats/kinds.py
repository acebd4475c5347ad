"""Which types a column may have, looked at before any of its values is read."""

from collections.abc import Collection, Mapping

import polars as pl

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_TIMES = (pl.Date, pl.Datetime, pl.Time)


def is_value(kind: pl.DataType) -> bool:
    """Tell whether a column of a type can hold a number, a flag, or a name."""
    # A column of nothing but gaps has no other type.
    return kind.is_numeric() or isinstance(kind, (pl.Boolean, pl.Null, *_TEXT))


def is_text(kind: pl.DataType) -> bool:
    """Tell whether a column of a type holds text, whose length nobody knows before."""
    return isinstance(kind, _TEXT)


def is_plain(kind: pl.DataType) -> bool:
    """Tell whether a column of a type can be kept as text, as it came."""
    return is_value(kind) or isinstance(kind, _TIMES)


def described(kind: pl.DataType) -> str:
    """Return a type's name for a message, of bounded length."""
    return str(kind.base_type()).lower()


def misfits(
    schema: Mapping[str, pl.DataType], names: Mapping[str, str], *, times: Collection[str] = ()
) -> list[str]:
    """Say which of the columns that are needed have a type that cannot be taken.

    Parameters
    ----------
    schema
        The types by the file's names.
    names
        The file's names that are needed, with the spec's names for them.
    times
        Those of the spec's names that may be times too.
    """
    return [
        f"{wanted} is of type {described(schema[name])}; numbers, booleans and text are taken"
        for name, wanted in names.items()
        if not (is_plain if wanted in times else is_value)(schema[name])
    ]
