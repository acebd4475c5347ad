"""Columns that are small in a file and large, or deadly, when they are read."""

import pyarrow as pa


def shared_string(rows: int, length: int = 1 << 20) -> pa.DictionaryArray:
    """So many rows that share one long string."""
    codes = pa.array([0] * rows, pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array(["x" * length]))


def structs_within_each_other(depth: int) -> pa.Array:
    """One value, so many structs deep."""
    column = pa.array([1])
    for _ in range(depth):
        column = pa.StructArray.from_arrays([column], ["a"])
    return column
