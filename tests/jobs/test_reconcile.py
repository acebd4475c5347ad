import pytest

from presagio.errors import DataError
from presagio.jobs.reconcile import reconcile
from presagio.storage.objects import open_store
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture
def bucket(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PRESAGIO_HOME", str(services.settings.home))
    monkeypatch.setenv("PRESAGIO_S3_BUCKET", "reconcile")
    monkeypatch.setenv("PRESAGIO_DATA_BUCKET", "reconcile")
    open_store(services.settings).create_bucket("reconcile")
    return "reconcile"


def test_what_agrees_is_counted_and_what_does_not_fails_the_task(
    services: RunningServices, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert reconcile(deep=True, mend=True) == {"receipts": 0, "objects": 0}
    open_store(services.settings).write(bucket, "processed/stranger.csv", b"x")
    with pytest.raises(DataError, match=r"1 differences .* reconcile/processed/stranger"):
        reconcile(deep=False, mend=True)
    assert "unknown_object (left): reconcile/processed/stranger.csv" in caplog.text
