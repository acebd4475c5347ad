"""Answers that are not stored yet, on this machine's disk: who is killed loses a moment's worth.

A journal is one block of answers on its way to one object: a line of JSON that says what columns
there are, then frames, each with the answers of a moment. Its process holds a lock on it, which
ends with the process; who finds one without a lock stores it under the name that it would have had.
"""

import contextlib
import errno
import fcntl
import json
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from presagio.errors import UnreadableFileError
from presagio.serving.answer_block import BLOCK_ROWS, AnswerBlock, AnsweredBy, Columns, RowLayout

_SUFFIX, _NEW, _DAMAGED = ".answers", ".new", ".damaged"
_FORMAT = 1
# Length of the frame's JSON, and of its rows, and a checksum of both.
_FRAME = struct.Struct("<III")
_LONGEST_HEADER = 1 << 20


class Journal:
    """The journal of one block.

    Parameters
    ----------
    folder
        Where journals are; made when it is missing.
    name
        Of the block, and of the object that it becomes.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._path = folder, folder / f"{name}{_SUFFIX}"
        self._file: IO[bytes] | None = None
        self._rows, self._ended, self._lock = 0, False, threading.Lock()

    def append(self, block: AnswerBlock, rows: int) -> None:
        """Write the rows of a block that are not written yet, up to a number of them.

        They are with the operating system afterwards, which outlives the process.

        Raises
        ------
        OSError
            If the disk does not take them; they are written by the next call.
        """
        with self._lock:
            if rows > self._rows and not self._ended:
                self._append(block, rows)

    def _append(self, block: AnswerBlock, rows: int) -> None:
        file = self._opened(block.layout)
        served = [asdict(AnsweredBy.of(one)) for one in list(block.served)]
        about = json.dumps([block.requests[self._rows : rows], served]).encode()
        raw = block.array[self._rows : rows].tobytes()
        frame = b"".join((about, raw))
        begins = file.tell()
        try:
            self._write(file, _FRAME.pack(len(about), len(raw), zlib.crc32(frame)) + frame)
        except OSError:
            # A part of a frame would end the journal for what comes after it.
            with contextlib.suppress(OSError):
                file.seek(begins)
                file.truncate()
            raise
        self._rows = rows

    def _write(self, file: IO[bytes], raw: bytes) -> None:
        # A disk that gets full in the middle takes a part, which is no error to the system.
        if file.write(raw) < len(raw):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def _opened(self, layout: RowLayout) -> IO[bytes]:
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch = self._path.with_suffix(_NEW)
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
            # Not buffered: a write is with the operating system when it returns.
            file = os.fdopen(os.open(scratch, flags, 0o600), "wb", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                header = {"format": _FORMAT, **asdict(layout.columns)}
                self._write(file, json.dumps(header).encode() + b"\n")
                # Found by others from here on, and locked by now.
                scratch.rename(self._path)
            except OSError:
                file.close()
                raise
            self._file = file
        return self._file

    def remove(self) -> None:
        """End it: its answers are stored."""
        self._end(remove=True)

    def release(self) -> None:
        """Leave it to whoever comes next."""
        self._end(remove=False)

    def _end(self, *, remove: bool) -> None:
        with self._lock:
            self._ended = True
            if self._file is None:
                return
            if remove:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


def _frames(raw: bytes, row_bytes: int) -> Iterator[tuple[list[str], list[AnsweredBy], bytes]]:
    """Yield requests, models and rows of each frame, up to the first that is not whole."""
    at = 0
    while at + _FRAME.size <= len(raw):
        about, rows, checksum = _FRAME.unpack_from(raw, at)
        frame = raw[at + _FRAME.size : at + _FRAME.size + about + rows]
        if len(frame) < about + rows or zlib.crc32(frame) != checksum:
            return
        requests, served = json.loads(frame[:about])
        if len(requests) * row_bytes != rows:
            return
        yield requests, [AnsweredBy(**one) for one in served], frame[about:]
        at += _FRAME.size + about + rows


def _columns(about: dict[str, Any]) -> Columns:
    if about["format"] != _FORMAT:
        raise ValueError(f"of version {about['format']}")
    return Columns(tuple(about["inputs"]), int(about["numbers"]), tuple(about["optional"]))


def read_journal(path: Path) -> AnswerBlock:
    """Return the answers of a journal: those of all frames that are whole.

    Raises
    ------
    UnreadableFileError
        If it is no journal of this version.
    """
    with path.open("rb") as file:
        header, raw = file.readline(_LONGEST_HEADER), file.read()
    try:
        block = AnswerBlock(RowLayout(_columns(json.loads(header))))
    except (ValueError, KeyError, TypeError) as err:
        raise UnreadableFileError("malformed", f"{path} is no journal of answers: {err}") from err
    for requests, served, rows in _frames(raw, block.layout.dtype.itemsize):
        if block.rows + len(requests) > BLOCK_ROWS:
            break
        block.array[block.rows : block.rows + len(requests)] = np.frombuffer(
            rows, block.layout.dtype
        )
        block.requests += requests
        block.served[:] = served
        block.rows += len(requests)
    return block


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a journal that nobody holds; say whether that is so, and it is still there."""
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield os.fstat(file.fileno()).st_nlink > 0


def left_journals(folder: Path) -> Iterator[tuple[str, AnswerBlock]]:
    """Yield the journals whose processes are gone, by name; each is removed when it was dealt with.

    It stays where whoever takes it raises something. One that cannot be read is put aside, under
    another name.

    Raises
    ------
    UnreadableFileError
        If one cannot be read; it is not met again.
    """
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with _locked(path) as is_left:
            if not is_left:
                continue
            try:
                block = read_journal(path)
            except UnreadableFileError:
                path.rename(path.with_suffix(_DAMAGED))
                raise
            if block.rows:
                yield path.stem, block
            path.unlink(missing_ok=True)
