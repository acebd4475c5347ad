"""Arrow's streams: read as Arrow's own library does, a part at a time; broken ones refused."""

import contextlib
import io
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.exceptions import PanicException, PolarsError
from polars.testing import assert_frame_equal

from presagio.errors import DataError
from presagio.readings.formats.arrow_stream import read_frames, write_frames

pytestmark = pytest.mark.unit

_ROWS = pl.DataFrame({
    "torque_nm": [40.5, None, 41.0],
    "tool_wear_min": [1, 2, None],
    "type": ["L", None, "a longer name than fits into a view"],
    "type_l": [True, False, None],
})  # fmt: skip


def _stream(table: pa.Table, batches: int = 1, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for _ in range(batches):
            writer.write_table(table)
    return sink.getvalue()


def _read(folder: Path, raw: bytes) -> list[pl.DataFrame]:
    path = folder / "sent"
    path.write_bytes(raw)
    return list(read_frames(path))


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_streams_of_arrow_itself_are_read(tmp_path: Path, compression: str | None) -> None:
    raw = _stream(_ROWS.to_arrow(), 3, compression=compression)
    assert_frame_equal(pl.concat(_read(tmp_path, raw)), pl.concat([_ROWS] * 3))


def _with_dictionaries(rows: int, **options: Any) -> bytes:
    """Three batches, each with one name more in its dictionary."""
    schema = pa.schema({"type": pa.dictionary(pa.int32(), pa.string()), "n": pa.int64()})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for known in (2, 3, 4):
            codes = pa.array([i % known for i in range(rows)], pa.int32())
            names = pa.DictionaryArray.from_arrays(codes, pa.array([*"LMHX"[:known]]))
            writer.write_batch(pa.record_batch([names, pa.array(range(rows))], schema))
    return sink.getvalue()


def test_dictionaries_hold_for_all_batches_after_them(tmp_path: Path) -> None:
    rows = 300_000
    found = _read(tmp_path, _with_dictionaries(rows))
    assert len(found) == 2
    names = pl.concat([frame.select(pl.col("type").cast(pl.String)) for frame in found])
    expected = [name for known in (2, 3, 4) for name in [*"LMHX"[:known]] * (rows // known)]
    assert names["type"].to_list() == expected


def test_dictionaries_that_are_added_to_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolarsError, match="delta dictionary"):
        _read(tmp_path, _with_dictionaries(12, emit_dictionary_deltas=True))


def test_a_long_stream_comes_in_parts_and_many_short_batches_together(tmp_path: Path) -> None:
    column = pl.DataFrame({"torque_nm": [float(i) for i in range(1000)]})
    found = _read(tmp_path, _stream(column.to_arrow(), 2000))
    assert 2 < len(found) < 10
    assert sum(frame.height for frame in found) == 2_000_000


def test_what_is_written_arrow_itself_reads(tmp_path: Path) -> None:
    raw = b"".join(write_frames([_ROWS, _ROWS.clear(), _ROWS]))
    with pa.ipc.open_stream(raw) as stream:
        table = stream.read_all()
    assert table.schema.field("type").type == pa.large_string()
    assert_frame_equal(pl.DataFrame(pl.from_arrow(table)), pl.concat([_ROWS, _ROWS]))
    assert_frame_equal(pl.concat(_read(tmp_path, raw)), pl.concat([_ROWS, _ROWS]))


def test_no_table_is_no_stream() -> None:
    assert b"".join(write_frames([])) == b""


def test_a_stream_without_rows_has_no_table(tmp_path: Path) -> None:
    assert _read(tmp_path, _stream(_ROWS.to_arrow(), 0)) == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "does not begin with a schema"),
        (b"\xff\xff\xff\xff\0\0\0\0", "does not begin with a schema"),
        (b"PAR1 and more", "no message"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f", "bytes cannot be"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", "bytes cannot be"),
        (b"\xff\xff\xff\xff\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", "no readable head"),
        (b"\xff\xff\xff\xff\x08\0\0\0\0\0", "ends within a message"),
    ],
)
def test_what_is_no_stream_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        _read(tmp_path, raw)


def test_a_batch_that_says_it_becomes_endless_is_refused(tmp_path: Path) -> None:
    zeros = pl.DataFrame({"torque_nm": [0.0] * 1000}).to_arrow()
    raw = _stream(zeros, compression="zstd")
    said, more = (length.to_bytes(8, "little") for length in (8000, 1 << 46))
    assert raw.count(said) == 1
    with pytest.raises(DataError, match="bytes long"):
        _read(tmp_path, raw.replace(said, more))


def test_what_is_read_at_once_is_counted_as_it_is_when_it_is_unpacked(tmp_path: Path) -> None:
    zeros = pl.DataFrame({"torque_nm": [0.0] * 600_000}).to_arrow()
    raw = _stream(zeros, 5, compression="zstd")
    assert len(raw) < 20_000
    assert [frame.height for frame in _read(tmp_path, raw)] == [600_000] * 5


def test_a_batch_has_no_more_rows_than_values(tmp_path: Path) -> None:
    raw = _stream(pa.table({"torque_nm": pa.nulls(12_345)}))
    with pytest.raises(DataError, match="more rows than values"):
        _read(tmp_path, raw)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
       cut=st.integers(0, 10_000), compression=st.sampled_from([None, "lz4", "zstd"]))  # fmt: skip
def test_a_broken_stream_is_refused_and_nothing_worse(
    tmp_path: Path, places: list[tuple[int, int]], cut: int, compression: str | None
) -> None:
    raw = bytearray(_stream(_ROWS.to_arrow(), 2, compression=compression))
    for place, value in places:
        raw[place % len(raw)] = value
    whole = cut % 3
    with contextlib.suppress(DataError, PolarsError, PanicException, OSError):
        _read(tmp_path, bytes(raw if whole else raw[: cut % len(raw)]))
