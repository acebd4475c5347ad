"""The rows of a filed object that were not taken, read from quarantine without keeping them all."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

from presagio.errors import StorageError
from presagio.ingest.previewing import BadRow, shortened
from presagio.storage.objects import ObjectStore
from presagio.storage.receipt import Receipt

# How faults of one row stand beside each other: see ``outputs``.
_BETWEEN = " | "
# A cell that a spreadsheet would take for a formula got an apostrophe.
_FORMULA = ("'=", "'+", "'-", "'@", "'\t", "'\r")
_LONGEST_CELL = 1 << 24


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._left = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            self._left = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split(_BETWEEN))


def _row(cells: dict[str, str]) -> BadRow:
    raw = cells["raw"] or ""
    return BadRow(
        int(cells["line"]), _parts(cells["columns"]), _parts(cells["reasons"]),
        _parts(cells["faults"]), shortened(raw[1:] if raw.startswith(_FORMULA) else raw),
    )  # fmt: skip


def read_bad_rows(
    store: ObjectStore, receipt: Receipt, *, after: int = 0, limit: int = 50
) -> list[BadRow]:
    """Return rows of a filed object that were not taken, in the order of the file.

    Parameters
    ----------
    store
        The object store.
    receipt
        Of an object whose other rows were taken.
    after
        How many of its bad rows to pass over.
    limit
        How many to return at most.

    Raises
    ------
    StorageError
        If the store does not answer, or has something else there.
    """
    key = receipt.outcome.quarantine_key
    if receipt.outcome.verdict != "processed" or key is None:
        return []
    found = store.stream(receipt.identity.bucket, key)
    if found is None:
        return []
    csv.field_size_limit(_LONGEST_CELL)
    text = io.TextIOWrapper(io.BufferedReader(_Blocks(found.blocks)), "utf-8", newline="")
    try:
        return [_row(cells) for cells in islice(csv.DictReader(text), after, after + limit)]
    except (csv.Error, KeyError, TypeError, ValueError) as err:
        raise StorageError(f"{key} is no list of bad rows: {err}") from err
    finally:
        # What is left of the transfer is not wanted.
        found.blocks.close()  # type: ignore[attr-defined]
