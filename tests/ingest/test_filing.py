"""Whatever happens while an object is filed, the end is that of one clean run."""

import csv
import gzip
import hashlib
import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from presagio.errors import StorageError
from presagio.ingest.filing import STEPS, Intake, Progress, Step, file_object
from presagio.storage.receipt import Receipt
from tests.bombs import structs_within_each_other
from tests.ingest.intake_state import BODY, KEY, State, curated, drop, read, state
from tests.readings import COLUMNS, HEADER
from tests.workbooks import workbook

pytestmark = pytest.mark.integration


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


def _file(intake: Intake, key: str = KEY) -> Receipt:
    receipt = file_object(intake, key, run_id="test")
    assert receipt is not None
    return receipt


def test_rows_go_where_they_belong(intake: Intake) -> None:
    drop(intake)
    receipt = _file(intake)
    objects = state(intake).objects
    digest = hashlib.sha256(BODY).hexdigest()
    assert set(objects) == {
        f"archive/{digest}.csv",
        "processed/line 1/readings.csv",
        "quarantine/line 1/readings.csv",
    }
    assert objects[f"archive/{digest}.csv"] == BODY
    assert objects["processed/line 1/readings.csv"].startswith(
        b"airtemperature_k,process_temperature_k,rotational_speed_rpm,torque_nm,tool_wear_min,"
        b"type_l,type_m\n300.0,310.0,1500.0,40.0,0.0,true,false\n"
    )
    outcome = receipt.outcome
    assert (outcome.rows_in, outcome.rows_processed, outcome.rows_quarantined) == (10, 8, 2)
    assert outcome.reasons == {"not_a_number": 1, "out_of_range": 1}
    assert outcome.digests == {
        stored.key: hashlib.sha256(read(intake, stored.key)).hexdigest()
        for stored in intake.store.list(intake.prefixes.bucket)
    }
    assert "shift" in outcome.warnings[0]
    assert receipt.run_id == "test"


def test_quarantined_rows_keep_line_faults_and_text(intake: Intake) -> None:
    drop(intake)
    _file(intake)
    text = read(intake, "quarantine/line 1/readings.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["line"], row["columns"], row["reasons"], row["raw"]) for row in rows] == [
        ("10", "torque_nm", "not_a_number", "M,301,311,1400,nan,20,day"),
        ("11", "tool_wear_min", "out_of_range", "H,302,312,1300,60,900,night"),
    ]
    assert rows[0]["faults"] == "torque_nm: got nan, allowed: a number, 0 to 150 Nm"


def test_clean_rows_land_in_the_curated_data_set(intake: Intake) -> None:
    drop(intake)
    receipt = _file(intake)
    rows = curated(intake)
    assert len(rows) == 8
    assert rows["receipt_id"].to_list() == [receipt.id] * 8
    assert rows["extra"].to_list() == ['{"shift":"day"}'] * 8
    assert rows["machine_failure"].to_list() == [None] * 8
    assert f"day={receipt.created_at:%Y-%m-%d}" in receipt.outcome.curated_keys[0]


def test_text_exports_never_let_a_cell_start_a_formula(intake: Intake) -> None:
    rows = [b"L,300,310,1500,40,10,%s" % cell for cell in (b"=1+1", b"@x", b"+a", b"-5", b"-5 x")]
    bad = b"=cmd,300,310,1500,40,10,x"
    drop(intake, body=b"\n".join([HEADER + b",UDI", *rows, bad]))
    receipt = _file(intake)
    processed, quarantine = receipt.outcome.processed_key, receipt.outcome.quarantine_key
    clean = csv.DictReader(io.StringIO(read(intake, str(processed)).decode()))
    assert [row["udi"] for row in clean] == ["'=1+1", "'@x", "'+a", "-5", "'-5 x"]
    (refused,) = csv.DictReader(io.StringIO(read(intake, str(quarantine)).decode()))
    assert refused["raw"] == f"'{bad.decode()}"
    assert curated(intake)["udi"].to_list() == ["=1+1", "@x", "+a", "-5", "-5 x"]


@pytest.mark.parametrize(
    ("body", "reason", "rows"),
    [(b"a,b\n1,2\n", "missing_columns", 0), (HEADER + b"\nL,1\n", "too_many_bad_rows", 1)],
)
def test_a_refused_file_goes_to_quarantine_whole(
    intake: Intake, body: bytes, reason: str, rows: int
) -> None:
    drop(intake, body=body)
    outcome = _file(intake).outcome
    assert (outcome.verdict, outcome.rows_in, outcome.rows_quarantined) == (
        "quarantined", rows, rows,
    )  # fmt: skip
    assert read(intake, "quarantine/line 1/readings.csv") == body
    said = json.loads(read(intake, "quarantine/line 1/readings.csv.reason.json"))
    assert said["reason"] == outcome.notes["refused"] == reason
    assert said["message"] == outcome.message
    assert set(state(intake).objects) == {
        f"archive/{hashlib.sha256(body).hexdigest()}.csv",
        "quarantine/line 1/readings.csv",
        "quarantine/line 1/readings.csv.reason.json",
    }


def test_a_file_that_ends_its_reader_gets_a_receipt_and_is_out_of_the_way(intake: Intake) -> None:
    body = io.BytesIO()
    pq.write_table(pa.table({"deep": structs_within_each_other(1000)}), body)
    drop(intake, "incoming/deep.parquet", body.getvalue())
    outcome = _file(intake, "incoming/deep.parquet").outcome
    assert (outcome.verdict, outcome.notes["refused"]) == ("quarantined", "reader_ended")
    assert read(intake, "quarantine/deep.parquet") == body.getvalue()
    assert not list(intake.store.list(intake.prefixes.bucket, intake.prefixes.incoming))


def test_a_file_without_rows_is_refused_where_people_look(intake: Intake) -> None:
    drop(intake, body=HEADER + b"\n")
    outcome = _file(intake).outcome
    assert (outcome.verdict, outcome.rows_in, outcome.curated_keys) == ("quarantined", 0, [])
    assert outcome.notes["refused"] == "no_rows"


@pytest.mark.parametrize("name", ["report.json", "book.xls", "readings", "a.csv.bz2", "empty.txt"])
def test_a_file_of_an_unknown_kind_is_refused_with_what_is_taken(intake: Intake, name: str) -> None:
    body = b"" if name == "empty.txt" else BODY
    drop(intake, f"incoming/line 1/{name}", body)
    outcome = _file(intake, f"incoming/line 1/{name}").outcome
    assert (outcome.verdict, outcome.notes["refused"]) == ("quarantined", "unknown_format")
    assert ".csv.gz, .csv.zst, .parquet, .xlsx" in str(outcome.message)
    assert outcome.quarantine_key == f"quarantine/line 1/{name}"
    assert read(intake, f"quarantine/line 1/{name}") == body
    assert outcome.archive_key == f"archive/{hashlib.sha256(body).hexdigest()}"
    assert not list(intake.store.list(intake.prefixes.bucket, intake.prefixes.incoming))


def test_what_was_refused_for_its_name_is_read_under_a_better_one(intake: Intake) -> None:
    drop(intake, "incoming/readings.txt")
    _file(intake, "incoming/readings.txt")
    drop(intake)
    assert _file(intake).outcome.verdict == "processed"
    drop(intake, "incoming/again.txt")
    assert _file(intake, "incoming/again.txt").outcome.verdict == "duplicate"


def test_a_workbook_comes_out_as_csv(intake: Intake) -> None:
    drop(intake, "incoming/a.xlsx", workbook(COLUMNS, ["L", 300.1, 310, 1500, 40, 10]))
    outcome = _file(intake, "incoming/a.xlsx").outcome
    assert (outcome.verdict, outcome.processed_key) == ("processed", "processed/a.csv")
    assert (outcome.notes["sheet"], outcome.rows_processed) == ("Readings", 1)


def test_a_compressed_file_comes_out_as_csv(intake: Intake) -> None:
    body = gzip.compress(BODY)
    drop(intake, "incoming/a.csv.gz", body)
    outcome = _file(intake, "incoming/a.csv.gz").outcome
    assert (outcome.processed_key, outcome.quarantine_key) == (
        "processed/a.csv",
        "quarantine/a.csv",
    )
    assert outcome.archive_key == f"archive/{hashlib.sha256(body).hexdigest()}.csv.gz"


def test_no_object_no_receipt(intake: Intake) -> None:
    assert file_object(intake, KEY) is None


def test_filing_again_changes_nothing(intake: Intake, clean_run: State) -> None:
    drop(intake)
    first = _file(intake)
    drop(intake)
    assert _file(intake) == first
    assert state(intake) == clean_run


def test_the_same_name_with_new_bytes_is_a_new_file(intake: Intake) -> None:
    drop(intake)
    first = _file(intake)
    drop(intake, body=BODY.replace(b"300", b"299"))
    second = _file(intake)
    assert first.outcome.processed_key == "processed/line 1/readings.csv"
    assert second.outcome.processed_key == (
        f"processed/line 1/readings.{second.identity.sha256[:12]}.csv"
    )
    assert len(state(intake).receipts) == 2
    assert b"300.0" in read(intake, first.outcome.processed_key)
    assert b"299.0" in read(intake, second.outcome.processed_key)
    assert len(curated(intake)) == 16


def test_the_same_bytes_under_another_name_are_taken_once(intake: Intake) -> None:
    drop(intake)
    first = _file(intake)
    before = state(intake)
    drop(intake, "incoming/copy.csv")
    second = _file(intake, "incoming/copy.csv")
    assert second.outcome.verdict == "duplicate"
    assert second.outcome.duplicate_of == first.id
    assert second.outcome.rows_in == 0
    after = state(intake)
    assert (after.objects, after.curated) == (before.objects, before.curated)


def test_the_same_name_in_two_folders_stays_apart(intake: Intake) -> None:
    for i, key in enumerate(("incoming/a/x.csv", "incoming/b/x.csv", "incoming/x.csv")):
        drop(intake, key, BODY.replace(b"300", b"30%d" % i))
        _file(intake, key)
    keys = {r.outcome.processed_key for r in intake.ledger.receipts(bucket=intake.prefixes.bucket)}
    assert keys == {"processed/a/x.csv", "processed/b/x.csv", "processed/x.csv"}


ODD_KEYS = [
    "incoming/with spaces and ñandú 数据.csv",
    "incoming/plus+percent%20&amp=?#.csv",
    "incoming/UPPER.CSV",
    "incoming/.csv",
    "incoming/dots...csv",
    "incoming/'quoted' \"name\".csv",
    "incoming/" + "/".join(["d" * 90] * 10) + "/" + "f" * 70 + ".csv",
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_filed_like_others(intake: Intake, key: str) -> None:
    drop(intake, key)
    receipt = _file(intake, key)
    assert receipt.outcome.rows_processed == 8
    assert intake.store.head(intake.prefixes.bucket, key) is None
    assert len(read(intake, str(receipt.outcome.processed_key)).splitlines()) == 9
    assert set(state(intake).objects) == set(receipt.outcome.digests) - set(
        receipt.outcome.curated_keys
    )


def test_every_step_is_named_and_progress_is_told(intake: Intake) -> None:
    steps: list[Step] = []
    told: list[Progress] = []
    drop(intake)
    _file(replace(intake, on_step=steps.append, on_progress=told.append))
    assert tuple(steps) == STEPS
    assert told[-1] == Progress(KEY, len(BODY), len(BODY), 10)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [Killed(), StorageError("S3 is away")])
def test_a_run_that_dies_after_any_step_is_made_good_by_the_next(
    intake: Intake, clean_run: State, step: Step, error: BaseException
) -> None:
    def die(at: Step) -> None:
        if at == step:
            raise error

    drop(intake)
    with pytest.raises(type(error)):
        file_object(replace(intake, on_step=die), KEY)
    file_object(intake, KEY, run_id="test")
    assert state(intake) == clean_run


def _at_once(runs: list[Callable[[], Any]]) -> list[BaseException]:
    start, failures = threading.Barrier(len(runs)), list[BaseException]()

    def run(action: Callable[[], Any]) -> None:
        start.wait()
        try:
            action()
        except BaseException as err:  # noqa: BLE001 - shown by the caller's assertion
            failures.append(err)

    threads = [threading.Thread(target=run, args=(action,)) for action in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_runs_at_once_are_one(intake: Intake, clean_run: State) -> None:
    drop(intake)
    assert _at_once([lambda: file_object(intake, KEY, run_id="test")] * 4) == []
    assert state(intake) == clean_run


def test_the_same_bytes_under_many_names_at_once_are_taken_once(
    intake: Intake, clean_run: State
) -> None:
    keys = [drop(intake, f"incoming/{i}.csv") for i in range(4)]
    assert _at_once([partial(file_object, intake, key) for key in keys]) == []
    after = state(intake)
    assert after.curated == clean_run.curated
    assert sorted(receipt[2] for receipt in after.receipts) == ["duplicate"] * 3 + ["processed"]


def test_many_files_of_one_name_at_once_stay_apart(intake: Intake) -> None:
    # Names that come to the same once they are made safe.
    keys = [f"incoming/x{mark}.csv" for mark in ("\x01", "\x02", "\x03")]
    bodies = [BODY.replace(b"300", b"29%d" % i) for i in range(3)]
    for key, body in zip(keys, bodies, strict=True):
        drop(intake, key, body)
    assert _at_once([partial(file_object, intake, key) for key in keys]) == []
    assert len({r.outcome.processed_key for r in intake.ledger.receipts(
        bucket=intake.prefixes.bucket)}) == 3  # fmt: skip
    assert len(curated(intake)) == 24


def test_bytes_that_replace_the_source_while_it_is_read_are_kept(intake: Intake) -> None:
    newer = BODY.replace(b"300", b"299")

    def replaced(step: Step) -> None:
        if step == "read":
            drop(intake, KEY, newer)

    drop(intake)
    _file(replace(intake, on_step=replaced))
    assert read(intake, KEY) == newer
    _file(intake)
    assert len(state(intake).receipts) == 2
    assert KEY not in state(intake).objects
