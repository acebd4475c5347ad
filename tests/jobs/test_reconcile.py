from collections.abc import Iterator

import pytest

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.opening import open_intake
from presagio.jobs.reconcile import reconcile
from presagio.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def intake(plant: Settings) -> Iterator[Intake]:
    intake = open_intake(plant)
    yield intake
    intake.ledger.close()


def test_what_agrees_is_counted_and_what_does_not_fails_the_task(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = intake.prefixes.bucket
    assert reconcile(intake, deep=True, repair=True) == {"receipts": 0, "objects": 0}
    intake.store.write(bucket, "processed/stranger.csv", b"x")
    with pytest.raises(DataError, match=rf"1 differences .* {bucket}/processed/stranger"):
        reconcile(intake, deep=False, repair=True)
    assert f"unknown_object (left): {bucket}/processed/stranger.csv" in caplog.text
