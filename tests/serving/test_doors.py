"""One value, one verdict: every value of the table through every door, with the same reason code.

What a door has no way to say is listed in ``UNSAYABLE``.
"""

import csv
import io
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import polars as pl
import pytest

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import Limits, check_file
from presagio.machine.spec import load_spec
from presagio.readings.rules import LONGEST_VALUE
from presagio.settings import Settings
from tests.conftest import free_ports
from tests.readings.cases import (
    ABSENT,
    CATEGORY,
    CONTRADICTIONS,
    FLAG,
    JSON,
    NUMBER,
    TEXT,
    TYPED,
    Case,
    Typed,
)
from tests.serving.conftest import Serve
from tests.workbooks import workbook

pytestmark = pytest.mark.unit

_SPEC = load_spec()
_GENEROUS = Limits(max_bad_share=1)
_ARROW = "application/vnd.apache.arrow.stream"
_PARQUET = "application/vnd.apache.parquet"
_MEDIA_TYPES = {"parquet": _PARQUET, "arrow": _ARROW}
# Door, and what it cannot say, and why.
UNSAYABLE: dict[str, Callable[[Case], bool]] = {
    # These take indicators only.
    "predict": lambda case: case.column == CATEGORY,
    "feedback": lambda case: case.column == CATEGORY,
    # A tensor is a list of values: none can be absent, and a list in it is a row.
    "v2": lambda case: case.column == CATEGORY or case.value in {ABSENT, "[]", "[40]", "[true]"},
    # Numbers and booleans have no gaps.
    "v2 bytes": lambda case: case.value.value is None,
    # The library that reads workbooks takes white space off.
    "intake xlsx": lambda case: len(case.value) > LONGEST_VALUE >= len(case.value.strip()),
}


@pytest.fixture(scope="module")
def client(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    ports = free_ports()
    settings = Settings(
        home=tmp_path_factory.mktemp("home"), mlflow_url=ports.url("mlflow"), mlflow_timeout_s=1,
        s3_endpoint=ports.url("s3"), s3_timeout_s=1, record_predictions=False,
    )  # fmt: skip
    with serve(settings) as client:
        yield client


def _reading(case: Case, written: Callable[[Any], Any], text: str = "L") -> dict[str, Any]:
    """Return the example, as a form writes it, with the value of a case."""
    reading = {name: written(value) for name, value in _SPEC.example.items()}
    none = written(False)  # noqa: FBT003
    reading |= {FLAG: none, "type_m": none if case.other is None else case.other}
    if case.column == CATEGORY:
        del reading[FLAG], reading["type_m"]
        reading[CATEGORY] = text
    reading[case.column] = case.value
    return reading


# Text.


def _in_text(value: Any) -> str:
    return str(value).lower()


def _text_rows(cases: Sequence[Case]) -> list[dict[str, str]]:
    return [_reading(case, _in_text) for case in cases]


def _csv(rows: Sequence[dict[str, str]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _frame_bytes(frame: pl.DataFrame, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == _ARROW:
        frame.write_ipc_stream(out)
    else:
        frame.write_parquet(out)
    return out.getvalue()


def _by_batch(client: httpx.Client, body: bytes, kind: str) -> list[str]:
    headers = {"Content-Type": kind, "Accept": "application/json"}
    answer = client.post("/predict/batch", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    rows = answer.json()
    for row in rows:
        assert (row["label"] is None) == (row["fault"] is not None) == (row["reason"] is not None)
    return [row["reason"] or "" for row in rows]


def _by_intake(body: bytes, suffix: str, rows: int) -> list[str]:
    try:
        checked = check_file(body, _SPEC, suffix=suffix, limits=_GENEROUS)
    except UnreadableFileError as err:
        raise AssertionError(str(err)) from err
    first = 1 if suffix == ".parquet" else 2
    found = {
        line - first: " ".join(fault["reason"] for fault in faults)
        for line, faults in checked.rejected.select("line", "faults").iter_rows()
    }
    assert len(checked.accepted) + len(found) == rows
    return [found.get(i, "") for i in range(rows)]


def _alone(cases: Sequence[Case], body: Callable[[Case], bytes], suffix: str) -> list[str]:
    """Send each case in a file of its own, as far as a file can be so: the fast path takes it."""
    return [_by_intake(body(case), suffix, 1)[0] for case in cases]


def _text_door(client: httpx.Client, door: str, cases: Sequence[Case]) -> list[str]:
    rows = _text_rows(cases)
    if door == "csv":
        return _by_batch(client, _csv(rows, ";"), "text/csv")
    if door in _MEDIA_TYPES:
        kind = _MEDIA_TYPES[door]
        return _by_batch(client, _frame_bytes(pl.DataFrame(rows), kind), kind)
    if door == "intake csv alone":
        return _alone(cases, lambda case: _csv(_text_rows([case])), ".csv")
    if door == "intake csv":
        body, suffix = _csv(rows), ".csv"
    elif door == "intake parquet":
        body, suffix = _frame_bytes(pl.DataFrame(rows), _PARQUET), ".parquet"
    else:
        body, suffix = workbook([*rows[0]], *([*row.values()] for row in rows)), ".xlsx"
    return _by_intake(body, suffix, len(rows))


# JSON.


def _object(case: Case) -> str:
    reading = _reading(case, json.dumps, '"L"')
    members = (f'"{name}":{value}' for name, value in reading.items() if value != ABSENT)
    return f"{{{','.join(members)}}}"


def _refusal(answer: httpx.Response, good: int) -> str:
    if answer.status_code == good:
        return ""
    assert answer.status_code == 422, answer.text
    return " ".join(fault["reason"] for fault in answer.json()["errors"])


def _by_predict(client: httpx.Client, case: Case) -> str:
    body = f'{{"request_id":1,"features":{_object(case)}}}'
    return _refusal(client.post("/predict", content=body.encode()), 200)


def _by_tensor(client: httpx.Client, case: Case) -> str:
    values = ",".join(_reading(case, json.dumps).values())
    body = f'{{"inputs":[{{"name":"inputs","shape":[1,7],"datatype":"FP64","data":[{values}]}}]}}'
    return _refusal(client.post("/v2/models/svm_prod/infer", content=body.encode()), 200)


def _by_feedback(client: httpx.Client, cases: Sequence[Case]) -> list[str]:
    def send(some: Sequence[Case]) -> str:
        outcomes = ",".join(f'{{"failure":false,"features":{_object(case)}}}' for case in some)
        body = f'{{"outcomes":[{outcomes}]}}'.encode()
        # There is no store here: what is taken cannot be kept, and waits for it each time.
        return _refusal(client.post("/feedback", content=body), 503)

    if good := [case for case in cases if not case.verdict]:
        assert send(good) == ""
    return [send([case]) if case.verdict else "" for case in cases]


def _json_door(client: httpx.Client, door: str, cases: Sequence[Case]) -> list[str]:
    match door:
        case "predict":
            return [_by_predict(client, case) for case in cases]
        case "feedback":
            return _by_feedback(client, cases)
        case "v2":
            return [_by_tensor(client, case) for case in cases]
        case "json":
            body = f"[{','.join(map(_object, cases))}]"
            return _by_batch(client, body.encode(), "application/json")
    kind = "application/x-ndjson"
    if door == "ndjson":
        return _by_batch(client, "\n".join(map(_object, cases)).encode(), kind)
    # A good reading before it, which has all keys.
    values = {NUMBER: "40", FLAG: "false", CATEGORY: '"L"'}
    good = _object(Case(cases[0].column, values[cases[0].column], ""))
    return [_by_batch(client, f"{good}\n{_object(case)}".encode(), kind)[1] for case in cases]


# Types.


def _typed_frame(case: Case) -> pl.DataFrame:
    reading = _reading(case, lambda value: value)
    reading[case.column] = pl.Series([case.value.value], dtype=case.value.kind)
    return pl.DataFrame(reading)


_TENSORS = {
    pl.Float64: ("FP64", "<d"), pl.Float32: ("FP32", "<f"), pl.Int64: ("INT64", "<q"),
    pl.UInt8: ("UINT8", "<B"), pl.Boolean: ("BOOL", "<?"),
}  # fmt: skip


def _by_bytes(client: httpx.Client, case: Case) -> str:
    tensors, behind = [], b""
    for name, value in _reading(case, lambda value: value).items():
        typed = value if isinstance(value, Typed) else Typed(float(value), pl.Float64)
        kind, form = _TENSORS[typed.kind]
        raw = struct.pack(form, typed.value)
        size = {"binary_data_size": len(raw)}
        tensors.append({"name": name, "shape": [1], "datatype": kind, "parameters": size})
        behind += raw
    text = json.dumps({"inputs": tensors}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    answer = client.post("/v2/models/svm_prod/infer", content=text + behind, headers=headers)
    return _refusal(answer, 200)


def _typed_door(client: httpx.Client, door: str, case: Case) -> str:
    if door == "v2 bytes":
        return _by_bytes(client, case)
    if door == "intake parquet":
        return _by_intake(_frame_bytes(_typed_frame(case), _PARQUET), ".parquet", 1)[0]
    kind = _MEDIA_TYPES[door]
    return _by_batch(client, _frame_bytes(_typed_frame(case), kind), kind)[0]


DOORS = {
    "text": ("csv", "parquet", "arrow", "intake csv", "intake csv alone", "intake parquet",
             "intake xlsx"),
    "json": ("predict", "feedback", "v2", "json", "ndjson", "ndjson alone"),
    "typed": ("parquet", "arrow", "intake parquet", "v2 bytes"),
}  # fmt: skip
_TABLES = {"text": TEXT, "json": JSON, "typed": TYPED}


def _sayable(form: str, door: str) -> list[Case]:
    unsayable = UNSAYABLE.get(door)
    return [case for case in _TABLES[form] if unsayable is None or not unsayable(case)]


def _verdicts(client: httpx.Client, form: str, door: str, cases: Sequence[Case]) -> list[str]:
    if form == "text":
        return _text_door(client, door, cases)
    if form == "json":
        return _json_door(client, door, cases)
    return [_typed_door(client, door, case) for case in cases]


@pytest.mark.parametrize(
    ("form", "door", "column"),
    [
        (form, door, column)
        for form, doors in DOORS.items()
        for door in doors
        for column in (NUMBER, FLAG, CATEGORY)
        if any(case.column == column for case in _sayable(form, door))
    ],
)
def test_a_value_has_one_verdict(client: httpx.Client, form: str, door: str, column: str) -> None:
    cases = [case for case in _sayable(form, door) if case.column == column]
    found = _verdicts(client, form, door, cases)
    got = {str(case.value): verdict for case, verdict in zip(cases, found, strict=True)}
    assert got == {str(case.value): case.verdict for case in cases}


def test_the_table_is_as_long_as_it_says() -> None:
    sent = sum(len(_sayable(form, door)) for form, doors in DOORS.items() for door in doors)
    assert len(TEXT) + len(JSON) + len(TYPED) >= 200
    assert sent >= 1000


@pytest.mark.parametrize(("form", "door"), [(f, door) for f in DOORS for door in DOORS[f]])
def test_two_values_of_a_category_contradict(client: httpx.Client, form: str, door: str) -> None:
    cases = CONTRADICTIONS[form]
    assert _verdicts(client, form, door, cases) == [case.verdict for case in cases]
