import pytest

from presagio.errors import StorageError
from presagio.ingest.filing import Intake
from presagio.orchestration.sweep import sweep, sweep_prefixes
from presagio.settings import Prefixes
from tests.conftest import RunningServices, free_ports
from tests.readings import HEADER

pytestmark = pytest.mark.integration

ROW = b"\nL,300,310,1500,%d,10"


def _drop(intake: Intake, key: str, body: bytes) -> None:
    intake.store.write(intake.prefixes.bucket, key, body)


def test_all_files_present_are_taken(intake: Intake) -> None:
    for i in range(5):
        _drop(intake, f"incoming/{i}.csv", HEADER + ROW % i)
    assert len(sweep(intake)) == 5
    assert sweep(intake) == []


def test_a_file_that_cannot_be_read_does_not_stop_the_round(intake: Intake) -> None:
    _drop(intake, "incoming/a.csv", b"\xff\xfe\x00")
    _drop(intake, "incoming/b.CSV", HEADER + ROW % 1)
    assert [receipt.outcome.verdict for receipt in sweep(intake)] == ["quarantined", "processed"]


def test_other_files_are_left_alone(intake: Intake) -> None:
    _drop(intake, "incoming/notes.txt", b"text")
    assert sweep(intake) == []
    assert intake.store.head(intake.prefixes.bucket, "incoming/notes.txt") is not None


def test_the_dags_task_counts(
    intake: Intake, services: RunningServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_HOME", str(services.settings.home))
    _drop(intake, "in/a.csv", HEADER + ROW % 1 + ROW % 900)
    _drop(intake, "in/b.csv", b"")
    prefixes = Prefixes(bucket=intake.prefixes.bucket, incoming="in/", processed="out/")
    assert sweep_prefixes(prefixes, run_id="manual") == {
        "files": 2, "files_quarantined": 1, "rows_processed": 1, "rows_quarantined": 1,
    }  # fmt: skip
    assert intake.store.head(intake.prefixes.bucket, "out/a.csv") is not None
    (receipt,) = intake.ledger.receipts(bucket=prefixes.bucket, key="in/a.csv")
    assert receipt.run_id == "manual"


def test_a_store_that_is_away_fails_the_task(
    intake: Intake, services: RunningServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_HOME", str(services.settings.home))
    monkeypatch.setenv("PRESAGIO_S3_ENDPOINT", free_ports().url("s3"))
    with pytest.raises(StorageError):
        sweep_prefixes(intake.prefixes)
