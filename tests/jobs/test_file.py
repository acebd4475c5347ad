from dataclasses import replace
from io import BytesIO

import polars as pl
import pytest

from presagio.errors import RefusedValueError, StorageError
from presagio.ingest.filing import Intake
from presagio.ingest.opening import open_intake
from presagio.jobs.file import Filed, begin_round, file_batch, file_keys, sum_up, sweep
from presagio.settings import Prefixes
from presagio.storage.fleets import find_fleet
from presagio.storage.objects import open_store
from tests.conftest import RunningServices, free_ports
from tests.engines import engine_rows, engines
from tests.readings import HEADER

pytestmark = pytest.mark.integration

ROW = b"\nL,300,310,1500,%d,10"


def _drop(intake: Intake, key: str, body: bytes) -> str:
    intake.store.write(intake.prefixes.bucket, key, body)
    return key


def test_all_files_present_are_taken(intake: Intake) -> None:
    for i in range(5):
        _drop(intake, f"incoming/{i}.csv", HEADER + ROW % i)
    filed: list[int] = []
    assert sweep(intake, on_filed=lambda receipt: filed.append(receipt.id)) == Filed(
        files=5, rows_processed=5
    )
    assert len(filed) == 5
    assert sweep(intake) == Filed()


def test_a_file_that_cannot_be_read_does_not_stop_the_round(intake: Intake) -> None:
    _drop(intake, "incoming/a.csv", b"\xff\xfe\x00")
    _drop(intake, "incoming/b.CSV", HEADER + ROW % 1)
    _drop(intake, "incoming/c.csv", HEADER + ROW % 1)
    assert sweep(intake) == Filed(files=3, files_quarantined=1, files_duplicate=1, rows_processed=1)


def test_files_of_other_kinds_are_refused_and_unfinished_ones_left_alone(intake: Intake) -> None:
    _drop(intake, "incoming/notes.txt", b"text")
    _drop(intake, "incoming/readings.csv.part", b"half")
    assert sweep(intake) == Filed(files=1, files_quarantined=1)
    assert intake.store.head(intake.prefixes.bucket, "incoming/notes.txt") is None
    assert intake.store.head(intake.prefixes.bucket, "incoming/readings.csv.part") is not None


def test_the_dags_tasks_plan_file_and_sum_up(intake: Intake, services: RunningServices) -> None:
    for i in range(45):
        _drop(intake, f"in/{i:02}.csv", HEADER + ROW % 1 + ROW % i + ROW % 2 + ROW % 3 + ROW % 4)
    _drop(intake, "in/bad.csv", b"")
    bucket = intake.prefixes.bucket
    prefixes = Prefixes(bucket=bucket, incoming="in/", processed="out/", curated_bucket=bucket)
    opened = open_intake(find_fleet(services.settings), prefixes)
    batches = begin_round(opened, run_id="manual", slots=2)
    assert [len(batch["keys"]) for batch in batches] == [23, 23]  # type: ignore[arg-type]
    for batch in batches:
        assert file_batch(opened, batch, run_id="manual")["files"] == 23
    assert sum_up(opened, run_id="manual") == {
        "files": 46, "files_quarantined": 1, "files_duplicate": 0,
        "rows_processed": 225, "rows_quarantined": 0,
        "summary": "46 files filed: 225 rows taken, 0 set aside; 1 file refused whole: in/bad.csv "
        "(empty).",
    }  # fmt: skip
    assert intake.store.head(bucket, "out/00.csv") is not None
    (receipt,) = intake.ledger.receipts(bucket=bucket, key="in/00.csv")
    assert receipt.run_id == "manual"
    assert begin_round(opened, run_id="manual", slots=2) == []
    opened.ledger.close()


def test_a_small_round_is_filed_as_it_is_planned(intake: Intake) -> None:
    for i in range(3):
        _drop(intake, f"incoming/{i}.csv", HEADER + ROW % i)
    assert begin_round(intake, run_id="small", slots=2) == []
    assert sum_up(intake, run_id="small")["rows_processed"] == 3
    assert sum_up(intake, run_id="another")["files"] == 0
    assert sum_up(intake, run_id="another")["summary"] == "No file was filed."


@pytest.mark.parametrize("fault", [RuntimeError("a defect"), RefusedValueError("a value")])
def test_a_file_that_fails_keeps_no_other_from_being_filed(
    intake: Intake, fault: Exception
) -> None:
    keys = [_drop(intake, f"incoming/{i}.csv", HEADER + ROW % i) for i in range(3)]

    def fail(step: str) -> None:
        if step == "archived":
            failing.append(step)
            if len(failing) == 1:
                raise fault

    failing: list[str] = []
    with pytest.raises(ExceptionGroup, match="1 of 3 files failed") as failed:
        file_keys(replace(intake, on_step=fail), keys, threads=1)
    assert "while filing incoming/0.csv" in failed.value.exceptions[0].__notes__
    assert len(intake.ledger.receipts(bucket=intake.prefixes.bucket)) == 2
    assert sweep(intake).files == 1


def test_a_name_that_the_ledger_cannot_keep_is_set_aside(intake: Intake) -> None:
    """Parquet takes a NUL in the name of a unit, and PostgreSQL takes none."""
    intake, rows = replace(intake, spec=engines()), engine_rows(1)
    for name, units in {"all": ["E\0"], "one": ["E\0", "E"]}.items():
        body = BytesIO()
        named = pl.Series(units[:1] + units[-1:] * (len(rows) - 1))
        rows.with_columns(unit=named).write_parquet(body)
        _drop(intake, f"incoming/{name}.parquet", body.getvalue())
    found = sweep(intake)
    assert (found.files, found.files_quarantined) == (2, 1)
    assert (found.rows_processed, found.rows_quarantined) == (len(rows) - 1, len(rows) + 1)


def test_a_store_that_is_away_fails_the_task_at_once(
    intake: Intake, services: RunningServices
) -> None:
    settings = services.settings.model_copy(update={"s3_endpoint": free_ports().url("s3")})
    away = replace(intake, store=open_store(settings))
    with pytest.raises(StorageError, match="PRESAGIO_S3_ENDPOINT"):
        sweep(away)
    with pytest.raises(StorageError, match="PRESAGIO_S3_ENDPOINT"):
        file_keys(away, [f"incoming/{i}.csv" for i in range(100)])
