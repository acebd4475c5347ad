"""Arrow's streams, read and written a part at a time, without Arrow's library.

A stream is a row of messages: its schema, then dictionaries and batches, then an end. Polars reads
and writes whole streams, so a long one is cut between messages, and each part read as one of its
own. What a message says of itself is checked before: Polars trusts it.

Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl

from presagio.errors import DataError

# What an encapsulated message begins with, and what stands in place of one after the last.
_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + bytes(4)
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_LONGEST_METADATA = 1 << 24
# Batches are read together until they are this long: each call has its price.
_PART_BYTES = 1 << 22
# How long one, or all dictionaries, may become when they are unpacked.
_MOST_UNPACKED = 1 << 28
_NOT_PACKED = -1


class _Table(NamedTuple):
    """A table in a flatbuffer; fields are asked for by their place in Arrow's Message.fbs."""

    data: bytes
    at: int

    def _read(self, form: str, at: int) -> int:
        if at < 0:
            raise struct.error("before the beginning")
        return int(struct.unpack_from(form, self.data, at)[0])

    def _offset(self, place: int) -> int:
        """Return where a field stands; 0 where it is left out."""
        entries = self.at - self._read("<i", self.at)
        entry = 4 + 2 * place
        known = entry < self._read("<H", entries)
        offset = self._read("<H", entries + entry) if known else 0
        return self.at + offset if offset else 0

    def number(self, place: int, form: str) -> int:
        """Return a number, 0 where it is left out."""
        return self._read(form, at) if (at := self._offset(place)) else 0

    def table(self, place: int) -> "_Table | None":
        """Return a table within this one."""
        at = self._offset(place)
        return _Table(self.data, at + self._read("<I", at)) if at else None

    def pairs(self, place: int) -> Iterator[tuple[int, int]]:
        """Yield a vector of pairs of 64-bit integers."""
        if at := self._offset(place):
            vector = at + self._read("<I", at)
            first, count = vector + 4, self._read("<I", vector)
            if first + 16 * count > len(self.data):
                raise struct.error("longer than its message")
            yield from struct.iter_unpack("<qq", self.data[first : first + 16 * count])


class Message(NamedTuple):
    """A message as it stands in a stream, and how many bytes it has when it is unpacked."""

    kind: int
    raw: bytes
    unpacked: int


def _exactly(file: BinaryIO, length: int, most: int) -> bytes:
    if not 0 <= length <= most:
        raise DataError(f"a message of {length} bytes cannot be in an Arrow stream here")
    found = file.read(length)
    if len(found) < length:
        raise DataError("the Arrow stream ends within a message")
    return found


def _check_batch(batch: _Table, body: bytes) -> int:
    """Return how long a batch becomes; refuse one that is elsewhere than it says, or too long."""
    packed, unpacked = batch.table(3) is not None, 0
    for offset, length in batch.pairs(2):
        if not (0 <= offset <= len(body) and 0 <= length <= len(body) - offset):
            raise DataError("a column of the Arrow stream is outside its message")
        becomes = length
        if packed and length:
            (length_before,) = struct.unpack("<q", body[offset : offset + min(length, 8)])
            becomes = length if length_before == _NOT_PACKED else length_before
        if becomes < 0 or (unpacked := unpacked + becomes) > max(_MOST_UNPACKED, len(body)):
            raise DataError(f"a batch of the Arrow stream is over {_MOST_UNPACKED} bytes long")
    # A row has a bit or more.
    if not 0 <= batch.number(0, "<q") <= 8 * unpacked:
        raise DataError("a batch of the Arrow stream has more rows than values")
    return unpacked


def _message(before: bytes, metadata: bytes, file: BinaryIO, most: int) -> Message:
    """Read the body of the message that has this metadata, and what stands before it."""
    message = _Table(metadata, int.from_bytes(metadata[:4], "little"))
    kind, head = message.number(1, "<B"), message.table(2)
    body = _exactly(file, message.number(3, "<q"), most)
    batch = head.table(1) if head and kind == _DICTIONARY else head
    unpacked = _check_batch(batch, body) if batch and kind in {_DICTIONARY, _BATCH} else len(body)
    return Message(kind, before + metadata + body, unpacked)


def messages(file: BinaryIO, most: int) -> Iterator[Message]:
    """Yield the messages of a stream, up to its end.

    Parameters
    ----------
    file
        Where the stream begins.
    most
        How long the body of a message can be, in bytes: as long as the file.

    Raises
    ------
    DataError
        If it is no stream of messages, or breaks off within one.
    """
    while head := file.read(len(_END)):
        length = int.from_bytes(head[4:], "little", signed=True)
        if len(head) < len(_END) or not head.startswith(_CONTINUATION):
            raise DataError("no message of an Arrow stream begins where one should")
        if length == 0:
            return
        metadata = _exactly(file, length, _LONGEST_METADATA)
        try:
            message = _message(head, metadata, file, most)
        except struct.error as err:
            raise DataError("a message of the Arrow stream has no readable head") from err
        yield message


def _read(part: list[Message], columns: Mapping[str, str] | None) -> pl.DataFrame:
    raw = b"".join(message.raw for message in part) + _END
    if columns is None:
        return pl.read_ipc_stream(raw)
    return pl.read_ipc_stream(raw, columns=list(columns)).rename(dict(columns))


def read_schema(path: Path) -> pl.Schema:
    """Return names and types of a stream's columns.

    Raises
    ------
    DataError
        If it begins with no schema; others as of :func:`read_frames`.
    """
    with path.open("rb") as file:
        schema = next(messages(file, path.stat().st_size), None)
    if schema is None or schema.kind != _SCHEMA:
        raise DataError("it does not begin with a schema")
    return _read([schema], None).schema


def read_frames(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the tables of a stream, batches that are short together.

    Parameters
    ----------
    path
        The file.
    columns
        The columns that are read, with new names for them; all when not given.

    Raises
    ------
    DataError
        If it is no stream.
    polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError
        If a message cannot be read; dictionaries that are added to (deltas) cannot.
    """
    with path.open("rb") as file:
        found = messages(file, path.stat().st_size)
        schema = next(found, None)
        if schema is None or schema.kind != _SCHEMA:
            raise DataError("it does not begin with a schema")
        # Dictionaries hold for all batches after them, so each part begins with those before it.
        before, part, left, known = [schema], list[Message](), _PART_BYTES, 0
        for message in found:
            part.append(message)
            left -= message.unpacked
            if message.kind == _DICTIONARY and (known := known + message.unpacked) > _MOST_UNPACKED:
                raise DataError(f"the dictionaries are over {_MOST_UNPACKED} bytes long")
            if message.kind == _BATCH and left <= 0:
                yield _read(before + part, columns)
                before += [each for each in part if each.kind == _DICTIONARY]
                # No shorter than what it begins with: else that is read too often.
                part, left = [], max(_PART_BYTES, known)
        if part:
            yield _read(before + part, columns)


def write_frames(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    """Yield the bytes of one stream that holds all tables; nothing if there is none."""
    first = True
    for frame in frames:
        stream = io.BytesIO()
        frame.write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
        stream.seek(0)
        found = messages(stream, stream.getbuffer().nbytes)
        yield b"".join(m.raw for m in found if first or m.kind != _SCHEMA)
        first = False
    yield b"" if first else _END
