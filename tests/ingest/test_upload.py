import threading
from pathlib import Path

import pytest

from presagio.ingest.filing import Intake, file_object
from presagio.ingest.upload import upload, wait_for_receipt

pytestmark = pytest.mark.integration


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "readings.csv"
    path.write_text("torque_nm\n1\n", encoding="utf-8")
    return path


def test_an_upload_lands_below_incoming(intake: Intake, file: Path) -> None:
    uploaded = upload(intake, file)
    assert uploaded.key == "incoming/readings.csv"
    read = intake.store.read(intake.prefixes.bucket, uploaded.key)
    assert read is not None
    assert read[0] == file.read_bytes()


def test_a_wait_ends_with_the_receipt(intake: Intake, file: Path) -> None:
    uploaded = upload(intake, file, name="other.csv")
    watcher = threading.Timer(0.3, file_object, (intake, uploaded.key))
    watcher.start()
    receipt = wait_for_receipt(intake, uploaded, timeout_s=30.0, poll_s=0.05)
    watcher.join()
    assert receipt is not None
    assert receipt.identity.key == "incoming/other.csv"


def test_a_wait_runs_out_of_time(intake: Intake, file: Path) -> None:
    assert wait_for_receipt(intake, upload(intake, file), timeout_s=0.2, poll_s=0.05) is None
