"""Whatever happens while an object is filed, the end is that of one clean run."""

import csv
import hashlib
import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from presagio.errors import StorageError
from presagio.ingest.filing import Intake, file_object
from presagio.storage.ledger import Receipt
from presagio.storage.objects import ObjectStore, StoredObject
from tests.readings import HEADER

pytestmark = pytest.mark.integration

KEY = "incoming/line 1/readings.csv"
BODY = (
    HEADER
    + b""",shift
L,300,310,1500,40,10,day
M,301,311,1400,nan,20,day
H,302,312,1300,60,900,night
"""
)


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


class FailingStore(ObjectStore):
    """The real store, on which one call fails before or after it is carried out."""

    def __init__(self, store: ObjectStore, call: int, *, after: bool, error: BaseException) -> None:
        super().__init__(store._client)
        self._fail_at, self._after, self._error, self._calls = call, after, error, 0

    def _maybe_fail(self, *, after: bool) -> None:
        if after == self._after and self._calls == self._fail_at:
            raise self._error

    def write(self, *args: Any, **kwargs: Any) -> None:
        self._calls += 1
        self._maybe_fail(after=False)
        super().write(*args, **kwargs)
        self._maybe_fail(after=True)

    def delete_unchanged(self, bucket: str, stored: StoredObject) -> bool:
        self._calls += 1
        self._maybe_fail(after=False)
        gone = super().delete_unchanged(bucket, stored)
        self._maybe_fail(after=True)
        return gone


def _state(intake: Intake) -> tuple[dict[str, bytes], list[tuple[Any, ...]]]:
    """Everything that can be seen from outside: objects with their bytes, and receipts."""
    bucket = intake.prefixes.bucket
    objects = {}
    for stored in intake.store.list(bucket):
        read = intake.store.read(bucket, stored.key)
        assert read is not None
        objects[stored.key] = read[0]
    receipts = [
        (r.identity.sha256, r.outcome) for r in intake.ledger.receipts(limit=None)
        if r.identity.bucket == bucket
    ]  # fmt: skip
    return objects, receipts


def _drop(intake: Intake, key: str = KEY, body: bytes = BODY) -> str:
    intake.store.write(intake.prefixes.bucket, key, body)
    return key


def _file(intake: Intake, key: str = KEY) -> Receipt:
    receipt = file_object(intake, key, run_id="test")
    assert receipt is not None
    return receipt


@pytest.fixture
def clean_run(new_intake: Callable[[], Intake]) -> tuple[dict[str, bytes], list[tuple[Any, ...]]]:
    intake = new_intake()
    _drop(intake)
    _file(intake)
    return _state(intake)


def test_rows_go_where_they_belong(intake: Intake) -> None:
    _drop(intake)
    receipt = _file(intake)
    objects, _ = _state(intake)
    digest = hashlib.sha256(BODY).hexdigest()
    assert set(objects) == {
        f"archive/{digest}.csv",
        "processed/line 1/readings.csv",
        "quarantine/line 1/readings.csv",
    }
    assert objects[f"archive/{digest}.csv"] == BODY
    assert objects["processed/line 1/readings.csv"] == (
        b"airtemperature_k,process_temperature_k,rotational_speed_rpm,torque_nm,tool_wear_min,"
        b"type_l,type_m\n300.0,310.0,1500.0,40.0,10.0,true,false\n"
    )
    outcome = receipt.outcome
    assert (outcome.rows_in, outcome.rows_processed, outcome.rows_quarantined) == (3, 1, 2)
    assert outcome.reasons == {"not_a_number": 1, "out_of_range": 1}


def test_quarantined_rows_keep_line_faults_and_text(intake: Intake) -> None:
    _drop(intake)
    _file(intake)
    rows = list(
        csv.DictReader(io.StringIO(_state(intake)[0]["quarantine/line 1/readings.csv"].decode()))
    )
    assert [(row["line"], row["faults"]) for row in rows] == [
        ("3", "not_a_number: torque_nm"),
        ("4", "out_of_range: tool_wear_min outside 0 to 500 min"),
    ]
    assert rows[1]["shift"] == "night"


def test_an_unreadable_file_goes_to_quarantine_whole(intake: Intake) -> None:
    _drop(intake, body=b"a,b\n1,2\n")
    receipt = _file(intake)
    objects, _ = _state(intake)
    assert receipt.outcome.verdict == "quarantined"
    assert objects["quarantine/line 1/readings.csv"] == b"a,b\n1,2\n"
    reason = json.loads(objects["quarantine/line 1/readings.csv.reason.json"])
    assert reason["reason"] == "missing_columns"
    assert "torque_nm" in reason["message"]
    assert KEY not in objects


def test_a_file_without_rows_is_processed(intake: Intake) -> None:
    _drop(intake, body=BODY.splitlines(keepends=True)[0])
    assert _file(intake).outcome.rows_in == 0


def test_no_object_no_receipt(intake: Intake) -> None:
    assert file_object(intake, KEY) is None


def test_filing_again_changes_nothing(
    intake: Intake, clean_run: tuple[dict[str, bytes], list[tuple[Any, ...]]]
) -> None:
    _drop(intake)
    first = _file(intake)
    _drop(intake)
    assert _file(intake) == first
    assert _state(intake) == clean_run


def test_the_same_name_with_new_bytes_is_a_new_file(intake: Intake) -> None:
    _drop(intake)
    first = _file(intake)
    _drop(intake, body=BODY.replace(b"300", b"299"))
    second = _file(intake)
    assert first.outcome.processed_key == "processed/line 1/readings.csv"
    assert second.outcome.processed_key == (
        f"processed/line 1/readings.{second.identity.sha256[:12]}.csv"
    )
    objects, receipts = _state(intake)
    assert len(receipts) == 2
    assert b"300.0" in objects[first.outcome.processed_key]
    assert b"299.0" in objects[second.outcome.processed_key]


# Archive, processed, quarantine, removal of the source.
@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Killed(), StorageError("S3 is away")])
def test_a_run_that_dies_anywhere_is_made_good_by_the_next(
    intake: Intake,
    clean_run: tuple[dict[str, bytes], list[tuple[Any, ...]]],
    call: int,
    after: bool,
    error: BaseException,
) -> None:
    _drop(intake)
    failing = FailingStore(intake.store, call, after=after, error=error)
    with pytest.raises(type(error)):
        file_object(replace(intake, store=failing), KEY)
    file_object(intake, KEY, run_id="test")
    assert _state(intake) == clean_run


def test_two_runs_at_once_are_one(
    intake: Intake, clean_run: tuple[dict[str, bytes], list[tuple[Any, ...]]]
) -> None:
    _drop(intake)
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def run() -> None:
        start.wait()
        try:
            file_object(intake, KEY, run_id="test")
        except BaseException as err:  # noqa: BLE001 - shown by the assertion below
            failures.append(err)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _state(intake) == clean_run


def test_bytes_that_replace_the_source_while_it_is_read_are_kept(intake: Intake) -> None:
    newer = BODY.replace(b"300", b"299")

    class Replaced(ObjectStore):
        def read(self, bucket: str, key: str) -> tuple[bytes, StoredObject] | None:
            found = super().read(bucket, key)
            self.write(bucket, key, newer)
            return found

    _drop(intake)
    _file(replace(intake, store=Replaced(intake.store._client)))
    assert _state(intake)[0][KEY] == newer
    _file(intake)
    assert len(_state(intake)[1]) == 2
    assert KEY not in _state(intake)[0]
