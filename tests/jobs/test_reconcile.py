import pytest

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.jobs.reconcile import reconcile

pytestmark = pytest.mark.integration


def test_what_agrees_is_counted_and_what_does_not_fails_the_task(
    plant_intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = plant_intake.prefixes.bucket
    assert reconcile(plant_intake, deep=True, repair=True) == {"receipts": 0, "objects": 0}
    plant_intake.store.write(bucket, "processed/stranger.csv", b"x")
    with pytest.raises(DataError, match=rf"1 differences .* {bucket}/processed/stranger"):
        reconcile(plant_intake, deep=False, repair=True)
    assert f"unknown_object (left): {bucket}/processed/stranger.csv" in caplog.text
