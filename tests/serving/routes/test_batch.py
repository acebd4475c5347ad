"""Files of readings: each kind in and out, faults by row, the same answers as one by one."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from presagio.inference.alarm_modes import modes_of
from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.unit

_PARQUET, _ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
_NDJSON, _CSV, _JSON = "application/x-ndjson", "text/csv", "application/json"
_HEADER = (
    "Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
    "Tool wear [min]\n"
)


@pytest.fixture(scope="module")
def client(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = alone(
        tmp_path_factory.mktemp("home"),
        record_predictions=False,
        batch_max_bytes=20_000_000,
    )
    with serve(settings) as client:
        yield client


@pytest.fixture(scope="module")
def readings() -> pl.DataFrame:
    from presagio.machine.spec import load_spec

    spec = load_spec()
    rows = pl.concat(simulate(spec, 120_000, seed=5))
    return rows.select(spec.input_names)


def _write(frame: pl.DataFrame, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == _PARQUET:
        frame.write_parquet(out)
    elif kind == _ARROW:
        frame.write_ipc_stream(out)
    elif kind == _CSV:
        frame.write_csv(out)
    elif kind == _NDJSON:
        frame.write_ndjson(out)
    else:
        out.write(json.dumps(frame.to_dicts()).encode())
    return out.getvalue()


def _read(raw: bytes, kind: str) -> pl.DataFrame:
    if kind == _PARQUET:
        return pl.read_parquet(raw)
    if kind == _ARROW:
        return pl.DataFrame(pl.from_arrow(pa.ipc.open_stream(raw).read_all()))
    if kind == _CSV:
        return pl.read_csv(raw, schema_overrides={"version": pl.String, "fault": pl.String})
    if kind == _NDJSON:
        return pl.read_ndjson(raw, schema_overrides={"fault": pl.String})
    return pl.DataFrame(json.loads(raw), schema_overrides={"fault": pl.String})


@pytest.mark.parametrize("sent", [_PARQUET, _ARROW, _CSV, _NDJSON, _JSON])
@pytest.mark.parametrize("wanted", [_PARQUET, _ARROW, _CSV, _NDJSON, _JSON])
def test_each_kind_in_and_out_says_what_the_model_says(
    client: httpx.Client, readings: pl.DataFrame, sent: str, wanted: str
) -> None:
    rows = readings.head(1000 if sent == _JSON else 3000)
    answer = client.post(
        "/predict/batch", content=_write(rows, sent),
        headers={"Content-Type": sent, "Accept": wanted},
    )  # fmt: skip
    assert (answer.status_code, answer.headers["content-type"]) == (200, wanted)
    said = _read(answer.content, wanted)
    predictor, inputs = load_predictor(fallback_folder()), rows.cast(pl.Float64).to_numpy()
    own = predictor.predict(inputs)
    assert said["row"].to_list() == list(range(len(rows)))
    assert (said["label"].to_numpy() == own.label).all()
    assert np.allclose(said["score"].to_numpy(), own.score, atol=1e-6)
    # An alarm says which failure mode it is about, and nothing else does.
    named = said.filter(pl.col("mode").is_not_null())
    assert named["row"].to_list() == np.flatnonzero(own.label).tolist()
    assert named["mode"].to_list() == modes_of(predictor, inputs[own.label])
    assert said["fault"].null_count() == len(rows)
    assert said["version"].unique().to_list() == [answer.headers["x-presagio-version"]]
    assert answer.headers["x-presagio-degraded"] == "true"


@pytest.mark.parametrize("sent", [_PARQUET, _ARROW, _CSV, _NDJSON])
def test_a_file_of_several_parts_is_answered_in_order(
    client: httpx.Client, readings: pl.DataFrame, sent: str
) -> None:
    answer = client.post(
        "/predict/batch", content=_write(readings, sent),
        headers={"Content-Type": sent, "Accept": _PARQUET},
    )  # fmt: skip
    said = _read(answer.content, _PARQUET)
    assert said["row"].to_list() == list(range(len(readings)))
    assert said["fault"].null_count() == len(readings)
    own = load_predictor(fallback_folder()).predict(readings.cast(pl.Float64).to_numpy())
    assert (said["label"].to_numpy() == own.label).all()


@pytest.mark.parametrize("sent", [_PARQUET, _ARROW, _CSV, _NDJSON, _JSON])
def test_columns_that_are_no_inputs_come_back(
    client: httpx.Client, readings: pl.DataFrame, sent: str
) -> None:
    """Whoever sent them finds their rows by them, the bad ones too."""
    rows = readings.head(3).with_columns(
        pl.Series("UDI", [7, 8, 9]), pl.Series("Work order", ["A:1", None, "x" * 300]),
        pl.Series("label", ["=1", "b", "ü"]), pl.Series("unit", ["A", "B", "C"]),
        pl.Series("torque_nm", [38.0, -1e9, 40.0]),
    )  # fmt: skip
    answer = client.post(
        "/predict/batch", content=_write(rows, sent),
        headers={"Content-Type": sent, "Accept": _PARQUET},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    said = _read(answer.content, _PARQUET)
    assert said["UDI"].to_list() == ["7", "8", "9"]
    first, second, third = said["Work order"].to_list()
    assert (first, second or None, third) == ("A:1", None, "x" * 256 + "…")
    # An answer of this machine has no units, and so no column of that name; but labels.
    assert said["unit"].to_list() == ["A", "B", "C"]
    assert said["label (sent)"].to_list() == ["=1", "b", "ü"]
    assert said["label"].is_null().to_list() == [False, True, False]


def test_a_file_that_breaks_off_is_refused_where_the_answer_is_whole_before_it_is_sent(
    client: httpx.Client, readings: pl.DataFrame
) -> None:
    sink, table = io.BytesIO(), readings.to_arrow()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=10_000)
    answer = client.post(
        "/predict/batch", content=sink.getvalue()[:-100_000],
        headers={"Content-Type": _ARROW, "Accept": _PARQUET},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["title"]) == (422, "The file cannot be read")
    assert "ends within a message" in answer.json()["detail"]


def _csv(client: httpx.Client, text: str | bytes) -> list[dict[str, Any]]:
    answer = client.post(
        "/predict/batch", content=text, headers={"Content-Type": _CSV, "Accept": _JSON}
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def test_a_bad_row_says_why_and_the_others_are_judged(client: httpx.Client) -> None:
    good = "L,300,310,1500,40,10"
    rows = _csv(
        client,
        _HEADER + "\n".join([
            good, "Q,300,310,1500,40,10", "L,300,310,fast,900,10", "L,300", f"{good},9,9",
            "L,nan,310,1500,40,10", "L,inf,310,1500,40,10", ",,,,,", good,
        ]),
    )  # fmt: skip
    assert [row["label"] is None for row in rows] == [False, *[True] * 7, False]
    assert rows[0]["fault"] is None
    assert rows[1]["fault"] == "type: got Q, allowed: L or M or H"
    assert rows[2]["fault"] == (
        "rotational_speed_rpm: got fast, allowed: a number, 0 to 5000 rpm; "
        "torque_nm: got 900, allowed: a number, 0 to 150 Nm"
    )
    assert "tool_wear_min: got nothing" in rows[3]["fault"]
    assert rows[4]["fault"] == "more than 6 fields"
    assert rows[0]["score"] == rows[8]["score"]


def test_units_quotes_and_bytes_that_are_no_text(client: httpx.Client) -> None:
    header = _HEADER.replace("Air temperature [K]", "Air temperature [°C]")
    text = (header + '"L",26.85,310,1500,"40",10\nL,26.85,310,1500,40,10\n').encode()
    first, second, odd = _csv(client, text + b"L,\xff\xfe,310,1500,40,10\n")
    assert first["score"] == second["score"]
    kelvin = _csv(client, _HEADER + "L,300,310,1500,40,10\n")[0]
    assert first["score"] == pytest.approx(kelvin["score"], abs=1e-6)
    assert "airtemperature_k" in odd["fault"]


def test_lines_that_are_no_readings_are_told_by_row(
    client: httpx.Client, spec: MachineSpec
) -> None:
    good = json.dumps(spec.example)
    lines = [good, "nonsense", "[1]", '{"torque_nm": {"a": 1}}', "{}", good]
    answer = client.post(
        "/predict/batch", content="\n".join(lines), headers={"Content-Type": _NDJSON}
    )
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["fault"] is None for row in rows] == [True, False, False, False, False, True]
    assert [row["fault"] for row in rows[1:3]] == ["no JSON", "no JSON object"]


def test_a_json_list_may_carry_requests(client: httpx.Client, spec: MachineSpec) -> None:
    listed = [{"request_id": 1, "features": spec.example}, spec.example, 7, None, []]
    rows = client.post("/predict/batch", json=listed).json()
    assert [row["label"] for row in rows] == [True, True, None, None, None]
    assert client.post("/predict/batch", json=[]).json() == []


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (_CSV, b""),
        (_CSV, b"a,b\n1,2\n"),
        (_CSV, b"a,a\n1,2\n"),
        (_CSV, (_HEADER.replace("[K]", "[bar]") + "L,1,1,1,1,1\n").encode()),
        (_PARQUET, b"PAR1 this is none"),
        (_PARQUET, b""),
        (_ARROW, b"\x00\x01"),
        (_ARROW, b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 4),
        (_JSON, b"{}"),
        (_JSON, b"[1, 2"),
        (_JSON, json.dumps([{}] * 1001).encode()),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(
    client: httpx.Client, kind: str, raw: bytes
) -> None:
    answer = client.post("/predict/batch", content=raw, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:presagio:problem:unreadable-file"


def test_kinds_that_are_not_known_are_refused(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/x-pickle"}
    assert client.post("/predict/batch", content=b"", headers=headers).status_code == 415
    headers = {"Content-Type": _CSV, "Accept": "text/html"}
    assert client.post("/predict/batch", content=b"", headers=headers).status_code == 406
    headers = {"Content-Type": _CSV, "Accept": f"text/html, {_NDJSON};q=0.5, {_CSV};q=x"}
    text = _HEADER + "L,300,310,1500,40,10\n"
    answer = client.post("/predict/batch", content=text, headers=headers)
    assert answer.headers["content-type"] == _NDJSON


def test_a_file_that_is_too_large_is_refused(client: httpx.Client) -> None:
    pieces = iter([b"x" * 1_000_000] * 21)
    answer = client.post("/predict/batch", content=pieces, headers={"Content-Type": _CSV})
    assert answer.status_code == 413
