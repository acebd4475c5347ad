"""Kinds of files that `/predict/batch` takes and gives; answers are written a part at a time."""

import itertools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl
from polars.io.plugins import register_io_source

from presagio.readings.formats import arrow_stream

_PART_BYTES = 1 << 20

Writer = Callable[[Iterable[pl.DataFrame]], Iterator[bytes]]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    media_type
        As in Content-Type and Accept.
    task
        The task of :mod:`presagio.readings.process.tasks` that reads and checks it.
    write
        Yields the bytes of a file.
    """

    media_type: str
    task: str
    write: Writer


def _write_csv(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    for i, frame in enumerate(frames):
        yield frame.write_csv(include_header=i == 0).encode()


def _write_ndjson(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    for frame in frames:
        yield frame.write_ndjson().encode()


def _write_json(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    before = b"["
    for frame in frames:
        for row in frame.iter_rows(named=True):
            yield before + json.dumps(row).encode()
            before = b",\n"
    yield b"[]" if before == b"[" else b"]"


def _write_parquet(frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    rest = iter(frames)
    if (first := next(rest, None)) is None:
        return
    # Its index stands at its end, so it is written to a disk before it is sent.
    source = register_io_source(lambda *_: itertools.chain([first], rest), schema=first.schema)
    with tempfile.TemporaryFile(prefix="presagio-answer-") as file:
        source.sink_parquet(file)
        file.seek(0)
        while part := file.read(_PART_BYTES):
            yield part


FORMATS = (
    Format("application/json", "checked_json", _write_json),
    Format("text/csv", "checked_csv", _write_csv),
    Format("application/x-ndjson", "checked_ndjson", _write_ndjson),
    Format("application/vnd.apache.parquet", "checked_parquet", _write_parquet),
    Format("application/vnd.apache.arrow.stream", "checked_arrow", arrow_stream.write_frames),
)
