"""Files that are made to do harm: a refusal or a fault by row, never a 500, and the API goes on."""

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from presagio.machine.spec import MachineSpec
from tests.bombs import shared_string, structs_within_each_other
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.unit

_PARQUET, _ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
_NDJSON, _CSV, _JSON = "application/x-ndjson", "text/csv", "application/json"


@pytest.fixture(scope="module")
def client(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = alone(
        tmp_path_factory.mktemp("home"), record_predictions=False, reader_memory_bytes=384 << 20
    )
    with serve(settings) as client:
        yield client


def _send(client: httpx.Client, raw: bytes, kind: str) -> httpx.Response:
    headers = {"Content-Type": kind, "Accept": _NDJSON}
    return client.post("/predict/batch", content=raw, headers=headers)


def _rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def _goes_on(client: httpx.Client, spec: MachineSpec) -> bool:
    rows = _rows(_send(client, _write(_columns(spec, 3), _PARQUET), _PARQUET))
    return [row["fault"] for row in rows] == [None] * 3


def _columns(spec: MachineSpec, rows: int) -> dict[str, Any]:
    return {name: [float(value)] * rows for name, value in spec.example.items()}


def _write(columns: dict[str, Any], kind: str) -> bytes:
    table, out = pa.table(columns), io.BytesIO()
    if kind == _PARQUET:
        pq.write_table(table, out, compression="zstd")
    else:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(out, table.schema, options=options) as writer:
            writer.write_table(table)
    return out.getvalue()


class _Peak:
    """The largest memory of this process, which is also the server's, while something is done."""

    def __enter__(self) -> Self:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = psutil.Process().memory_info().rss
        return self

    def __exit__(self, *_: object) -> None:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        self.mib = (int(line.split()[1]) << 10) / 2**20 - self._before / 2**20


_ODD = {
    "list": pa.array([[1.0]]),
    "array": pa.array([[1.0]], pa.list_(pa.float64(), 1)),
    "binary": pa.array([b"\xff"]),
    "duration": pa.array([5], pa.duration("s")),
    "struct": pa.array([{"a": 1.0}]),
    "time": pa.array([5], pa.timestamp("s")),
}


@pytest.mark.parametrize("kind", [_PARQUET, _ARROW])
@pytest.mark.parametrize("odd", _ODD)
def test_a_column_of_another_type_is_refused_where_it_is_needed(
    client: httpx.Client, spec: MachineSpec, kind: str, odd: str
) -> None:
    columns = _columns(spec, 1)
    answer = _send(client, _write(columns | {"odd": _ODD[odd]}, kind), kind)
    assert [row["fault"] for row in _rows(answer)] == [None]
    answer = _send(client, _write(columns | {"torque_nm": _ODD[odd]}, kind), kind)
    assert answer.status_code == 422
    assert "torque_nm is of type" in answer.json()["detail"]


@pytest.mark.parametrize("kind", [_PARQUET, _ARROW])
@pytest.mark.parametrize("column", ["note", "torque_nm"])
def test_a_string_that_all_rows_share_is_not_made_for_each(
    client: httpx.Client, spec: MachineSpec, kind: str, column: str
) -> None:
    raw = _write(_columns(spec, 20_000) | {column: shared_string(20_000)}, kind)
    assert len(raw) < 100_000
    with _Peak() as peak:
        rows = _rows(_send(client, raw, kind))
    assert len(rows) == 20_000
    assert (rows[-1]["fault"] is None) == (column == "note")
    assert peak.mib < 150


@pytest.mark.parametrize("kind", [_PARQUET, _ARROW])
def test_structs_within_each_other_end_no_more_than_a_reader(
    client: httpx.Client, spec: MachineSpec, kind: str
) -> None:
    columns = _columns(spec, 1) | {"deep": structs_within_each_other(1000)}
    if kind == _ARROW:
        # Arrow itself writes no rows so deep, but such a schema, which holds no reading.
        out = io.BytesIO()
        pa.ipc.new_stream(out, pa.table(columns).schema).close()
        assert _rows(_send(client, out.getvalue(), kind)) == []
    else:
        answer = _send(client, _write(columns, kind), kind)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:presagio:problem:unreadable-file"
    assert _goes_on(client, spec)


def test_a_file_that_takes_too_much_memory_is_refused_and_others_are_answered_meanwhile(
    client: httpx.Client, spec: MachineSpec
) -> None:
    zeros = pl.select(
        pl.repeat(float(value), 12_000_000).alias(name) for name, value in spec.example.items()
    )
    out = io.BytesIO()
    zeros.write_parquet(out, row_group_size=12_000_000)
    del zeros
    answers: list[httpx.Response] = []
    thread = threading.Thread(
        target=lambda: answers.append(_send(client, out.getvalue(), _PARQUET))
    )
    with _Peak() as peak:
        thread.start()
        answered_meanwhile = 0
        while thread.is_alive():
            reading = {"request_id": 1, "features": spec.example}
            assert client.post("/predict", json=reading).status_code == 200
            answered_meanwhile += thread.is_alive()
            time.sleep(0.01)
        thread.join()
    assert answered_meanwhile
    (answer,) = answers
    assert answer.status_code == 422
    assert "memory" in answer.json()["detail"]
    assert peak.mib < 150
    assert _goes_on(client, spec)


def test_a_line_without_end_is_passed_over(client: httpx.Client, spec: MachineSpec) -> None:
    good = json.dumps(spec.example).encode()
    long = b'{"torque_nm": "' + b"x" * 40_000_000 + b'"}'
    raw = b"\n".join([good, long, good])
    with _Peak() as peak:
        rows = _rows(_send(client, raw, _NDJSON))
    assert [row["fault"] for row in rows] == [
        None, "the line is longer than 1,048,576 bytes", None,
    ]  # fmt: skip
    assert peak.mib < 200


def test_keys_that_stand_there_twice_are_faults_of_their_row(
    client: httpx.Client, spec: MachineSpec
) -> None:
    good = json.dumps(spec.example)
    twice = good[:-1] + ', "torque_nm": 41.0}'
    escaped = good[:-1] + ', "torque_n\\u006d": 41.0}'
    unneeded = good[:-1] + ', "shift": "a: b", "shift": 2}'
    within = '{"features": {}, "features": ' + good + "}"
    fault = "the key torque_nm stands there twice"
    rows = _rows(_send(client, "\n".join([good, twice, escaped, unneeded]).encode(), _NDJSON))
    assert [row["fault"] for row in rows] == [None, fault, fault, None]
    # Where every line has it, too.
    rows = _rows(_send(client, "\n".join([twice] * 3).encode(), _NDJSON))
    assert [row["fault"] for row in rows] == [fault] * 3
    listed = f"[{good}, {twice}, {escaped}, {unneeded}, {within}]".encode()
    rows = _rows(_send(client, listed, _JSON))
    assert [row["fault"] for row in rows] == [
        None, fault, fault, None, "the key features stands there twice",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [_NDJSON, _JSON])
def test_more_keys_than_a_table_may_have_are_refused(
    client: httpx.Client, spec: MachineSpec, kind: str
) -> None:
    readings = [dict(spec.example) | {f"k{i}_{j}": 1 for j in range(300)} for i in range(60)]
    raw = "\n".join(map(json.dumps, readings)) if kind == _NDJSON else json.dumps(readings)
    answer = _send(client, raw.encode(), kind)
    assert answer.status_code == 422
    assert "PRESAGIO_MAX_COLUMNS" in answer.json()["detail"]


@pytest.mark.parametrize(
    "value",
    ['"\\ud800"', "9" * 5000, "[" * 5000 + "]" * 5000, "NaN", "1e999", '"\\u0000"', "{}", "true"],
    ids=["surrogate", "digits", "depth", "nan", "infinite", "nul", "object", "boolean"],
)
@pytest.mark.parametrize("kind", [_NDJSON, _JSON])
def test_odd_values_are_faults_of_their_row(
    client: httpx.Client, spec: MachineSpec, kind: str, value: str
) -> None:
    good = json.dumps(spec.example)
    odd = json.dumps(dict(spec.example) | {"torque_nm": "@"}).replace('"@"', value)
    raw = f"[{good}, {odd}]" if kind == _JSON else f"{good}\n{odd}"
    answer = _send(client, raw.encode(), kind)
    if kind == _JSON and answer.status_code == 422:
        assert "no JSON" in answer.json()["detail"]
        return
    rows = _rows(answer)
    assert [row["fault"] is None for row in rows] == [True, False]


def _csv(spec: MachineSpec, end: str = "\n", more: str = "", cell: str = "") -> bytes:
    names = ",".join(spec.example) + more
    line = ",".join(str(value).lower() for value in spec.example.values()) + cell
    return (names + end + line + end).encode()


def test_a_file_of_carriage_returns_is_refused(client: httpx.Client, spec: MachineSpec) -> None:
    answer = _send(client, _csv(spec, "\r"), _CSV)
    assert answer.status_code == 422
    assert "CR" in answer.json()["detail"]
    assert _rows(_send(client, _csv(spec, "\r\n"), _CSV))[0]["fault"] is None


@pytest.mark.parametrize("name", ["__fault", "@fault", "@rest", "__more", "bad", "v0", "row", ""])
def test_an_unknown_column_may_have_any_name(
    client: httpx.Client, spec: MachineSpec, name: str
) -> None:
    (row,) = _rows(_send(client, _csv(spec, more=f",{name}", cell=",a text"), _CSV))
    assert row["fault"] is None
    for kind in (_PARQUET, _ARROW):
        (row,) = _rows(_send(client, _write(_columns(spec, 1) | {name: ["a text"]}, kind), kind))
        assert row["fault"] is None
    for kind, raw in ((_NDJSON, "%s"), (_JSON, "[%s]")):
        body = raw % json.dumps(dict(spec.example) | {name: "a text"})
        assert _rows(_send(client, body.encode(), kind))[0]["fault"] is None


def test_a_file_that_unpacks_to_too_much_is_refused(
    serve: Serve, spec: MachineSpec, tmp_path: Path
) -> None:
    settings = alone(tmp_path, record_predictions=False, batch_max_bytes=1_000_000)
    with serve(settings) as client:
        raw = _write(_columns(spec, 100_000), _PARQUET)
        assert len(raw) < 100_000
        answer = _send(client, raw, _PARQUET)
        assert answer.status_code == 422
        assert "unpacks to more than 1,000,000 bytes" in answer.json()["detail"]


def test_who_goes_away_leaves_no_reader_busy(client: httpx.Client, spec: MachineSpec) -> None:
    raw = _write(_columns(spec, 400_000), _PARQUET)
    for _ in range(4):
        headers = {"Content-Type": _PARQUET, "Accept": _NDJSON}
        with client.stream("POST", "/predict/batch", content=raw, headers=headers) as answer:
            next(answer.iter_raw())
    assert _goes_on(client, spec)
