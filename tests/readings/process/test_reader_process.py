"""The reader process: what a file does to it stays with it, and the next file is read."""

import io
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import Any

import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from presagio.errors import ReaderEndedError, ReadersBusyError, UnreadableFileError
from presagio.machine.headers import HeaderLimits
from presagio.readings.process.pool import ReaderPool
from presagio.readings.process.reader_limits import ReaderLimits
from presagio.readings.process.reading import ReadPart
from tests.bombs import structs_within_each_other

pytestmark = pytest.mark.unit

_HEADERS = {"headers": asdict(HeaderLimits())}
_LIMITS = ReaderLimits(memory_bytes=384 << 20, seconds=20)
_ROWS = pl.DataFrame({"n": range(200_000), "name": ["L", "M"] * 100_000})


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    pool = ReaderPool(_LIMITS, size=1)
    assert _is_usable(pool)
    yield pool
    pool.close()


def _parquet(table: pa.Table, **options: Any) -> io.BytesIO:
    body = io.BytesIO()
    pq.write_table(table, body, **options)
    return body


def _good() -> io.BytesIO:
    return _parquet(_ROWS.to_arrow())


def _cells(pool: ReaderPool, body: io.BytesIO, *names: str, **options: Any) -> Generator[ReadPart]:
    arguments = {
        "columns": {name: name for name in names}, "cell_bytes": 1 << 16, "text_bytes": 1 << 30,
    }  # fmt: skip
    return pool.read("parquet_cells", body, arguments | options)


def _is_usable(pool: ReaderPool) -> bool:
    parts = list(_cells(pool, _good(), "n", "name"))
    frames = [pl.read_ipc_stream(part.blocks[0]) for part in parts]
    return pl.concat(frames)["n"].cast(pl.Int64).to_list() == list(range(200_000))


def _idle(pool: ReaderPool, count: int = 1) -> int:
    """Wait until so many readers have been given back; return the first one's process id."""
    until = time.monotonic() + 60
    while len(pool.idle) < count:
        assert time.monotonic() < until
        time.sleep(0.01)
    return pool.idle[0]


def test_a_file_is_read_in_parts_and_its_reader_is_kept(pool: ReaderPool) -> None:
    assert _is_usable(pool)
    before = _idle(pool)
    assert _is_usable(pool)
    assert _idle(pool) == before


def test_a_schema_is_told_without_rows(pool: ReaderPool) -> None:
    table = pa.table({"n": [1], "listed": [[1]], "raw": [b"a"], "text": ["a"]})
    (part,) = pool.read("parquet_schema", _parquet(table), _HEADERS)
    assert part.about["names"] == ["n", "listed", "raw", "text"]
    assert part.about["values"] == [True, False, False, True]
    assert part.about["rows"] == 1


def test_a_thousand_structs_within_each_other_end_no_more_than_a_reader(pool: ReaderPool) -> None:
    body = _parquet(pa.table({"deep": structs_within_each_other(1000)}))
    with pytest.raises((ReaderEndedError, UnreadableFileError)):
        list(pool.read("parquet_schema", body, _HEADERS))
    assert _is_usable(pool)


def test_a_reader_that_dies_is_replaced(pool: ReaderPool) -> None:
    before = _idle(pool)
    parts = _cells(pool, _large(), "n")
    next(parts)
    os.kill(before, signal.SIGSEGV)
    with pytest.raises(ReaderEndedError, match="SIGSEGV") as ended:
        list(parts)
    assert ended.value.reason == "crash"
    assert _idle(pool) != before
    assert _is_usable(pool)


def test_a_reader_ends_with_its_parent_and_by_no_signal_to_stop(pool: ReaderPool) -> None:
    parts = _cells(pool, _large(), "n")
    before = _idle(pool)
    rows = next(parts).about["rows"]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(before, number)
    assert rows + sum(part.about["rows"] for part in parts) == 3_000_000


def test_a_reader_that_hangs_is_ended() -> None:
    pool = ReaderPool(ReaderLimits(memory_bytes=384 << 20, seconds=0.5), size=1)
    try:
        assert _is_usable(pool)
        before = _idle(pool)
        os.kill(before, signal.SIGSTOP)
        with pytest.raises(ReaderEndedError, match="seconds") as ended:
            list(_cells(pool, _good(), "n"))
        assert ended.value.reason == "time"
        assert _idle(pool) != before
        assert not psutil.pid_exists(before)
    finally:
        pool.close()


def test_a_file_that_takes_too_much_memory_ends_its_reader(pool: ReaderPool) -> None:
    zeros = pl.select(pl.repeat(0.0, 80_000_000).alias("n"))
    with tempfile.TemporaryFile() as file:
        zeros.write_parquet(file, row_group_size=80_000_000)
        del zeros
        with pytest.raises(ReaderEndedError) as ended:
            list(pool.read("parquet_cells", file, _arguments()))
    assert ended.value.reason == "memory"
    assert _is_usable(pool)


def _arguments() -> dict[str, Any]:
    return {"columns": {"n": "n"}, "cell_bytes": 1 << 16, "text_bytes": 1 << 30}


def test_who_waits_too_long_for_a_reader_is_told(pool: ReaderPool) -> None:
    parts = pool.read("parquet_cells", _large(), _arguments())
    next(parts)
    with pytest.raises(ReadersBusyError):
        next(pool.read("parquet_schema", _good(), _HEADERS, wait_s=0.05))
    parts.close()
    assert _is_usable(pool)


def _large() -> io.BytesIO:
    body = io.BytesIO()
    pl.DataFrame({"n": range(3_000_000)}).write_parquet(body)
    return body


def test_who_takes_parts_slowly_holds_no_reader_once_the_file_is_read(pool: ReaderPool) -> None:
    parts = _cells(pool, _good(), "n", "name")
    first = next(parts)
    # The file is read by now, as far as its reader is concerned.
    assert _is_usable(pool)
    assert first.about["rows"] + sum(part.about["rows"] for part in parts) == 200_000


def test_a_file_that_nobody_wants_any_more_frees_its_reader(pool: ReaderPool) -> None:
    before = _idle(pool)
    parts = pool.read("parquet_cells", _large(), _arguments())
    next(parts)
    parts.close()
    assert _idle(pool) == before


def test_many_threads_share_the_readers() -> None:
    pool, good = ReaderPool(_LIMITS, size=2), []
    try:
        threads = [threading.Thread(target=lambda: good.append(_is_usable(pool))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert good == [True] * 8
        assert _idle(pool, count=2)
    finally:
        pool.close()


def test_closing_a_pool_leaves_no_process() -> None:
    pool = ReaderPool(_LIMITS, size=1)
    assert _is_usable(pool)
    pid = _idle(pool)
    pool.close()
    assert not psutil.pid_exists(pid)


def test_a_reader_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGIO_TOKEN_SECRET", "s" * 32)
    other = ReaderPool(_LIMITS, size=1)
    try:
        assert _is_usable(other)
        assert "PRESAGIO_TOKEN_SECRET" not in psutil.Process(_idle(other)).environ()
    finally:
        other.close()


def test_columns_beyond_the_limit_are_refused_before_they_are_told(pool: ReaderPool) -> None:
    body = _parquet(pa.table({f"c{i}": [1] for i in range(20)}))
    limits = {"headers": asdict(HeaderLimits(columns=16))}
    with pytest.raises(UnreadableFileError, match="PRESAGIO_MAX_COLUMNS"):
        list(pool.read("parquet_schema", body, limits))


def test_broken_files_are_read_or_refused_and_leave_no_process() -> None:
    dice = random.Random(15)
    table = _ROWS.head(500).with_columns(pl.col("name").cast(pl.Categorical)).to_arrow()
    raws = [_parquet(table, compression=kind).getvalue() for kind in ("zstd", "snappy", "none")]
    pool, outcomes = ReaderPool(_LIMITS, size=1), set()
    for _ in range(120):
        raw = bytearray(dice.choice(raws))
        for _ in range(dice.choice([1, 4, 16])):
            raw[dice.randrange(len(raw))] = dice.choice([0, 127, 255, dice.randrange(256)])
        try:
            for _ in _cells(pool, io.BytesIO(raw), "n", "name"):
                outcomes.add("read")
        except (UnreadableFileError, ReaderEndedError) as err:
            outcomes.add(type(err).__name__)
    assert {"read", "UnreadableFileError"} <= outcomes
    assert _is_usable(pool)
    pid = _idle(pool)
    pool.close()
    assert not psutil.pid_exists(pid)
