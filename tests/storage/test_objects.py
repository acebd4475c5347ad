import pytest

from presagio.errors import StorageError
from presagio.ingest.filing import Intake
from presagio.settings import Settings
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices, free_ports

pytestmark = pytest.mark.integration


@pytest.fixture
def store(intake: Intake) -> ObjectStore:
    return intake.store


@pytest.fixture
def bucket(intake: Intake) -> str:
    return intake.prefixes.bucket


def test_what_is_written_is_read(store: ObjectStore, bucket: str) -> None:
    store.write(bucket, "a/b c/ñ.csv", b"bytes")
    read = store.read(bucket, "a/b c/ñ.csv")
    assert read is not None
    assert read[0] == b"bytes"
    assert read[1] == store.head(bucket, "a/b c/ñ.csv")


def test_what_is_not_there_is_none(store: ObjectStore, bucket: str) -> None:
    assert store.read(bucket, "nothing") is None
    assert store.head(bucket, "nothing") is None


def test_a_listing_goes_on_past_a_page(store: ObjectStore, bucket: str) -> None:
    keys = [f"many/{i:04d}" for i in range(1005)]
    for key in keys:
        store.write(bucket, key, b"")
    assert [stored.key for stored in store.list(bucket, "many/")] == keys


def test_a_prefix_is_no_folder(store: ObjectStore, bucket: str) -> None:
    store.write(bucket, "in/a", b"1")
    store.write(bucket, "out/b", b"2")
    assert [stored.key for stored in store.list(bucket, "in/")] == ["in/a"]


def test_new_bytes_have_another_etag(store: ObjectStore, bucket: str) -> None:
    etags = set()
    for body in (b"one", b"two"):
        store.write(bucket, "key", body)
        stored = store.head(bucket, "key")
        assert stored is not None
        etags.add(stored.etag)
    assert len(etags) == 2


def test_newer_bytes_are_not_deleted(store: ObjectStore, bucket: str) -> None:
    store.write(bucket, "key", b"old")
    old = store.head(bucket, "key")
    assert old is not None
    store.write(bucket, "key", b"new")
    assert not store.delete_unchanged(bucket, old)
    assert store.head(bucket, "key") is not None


def test_deleting_twice_is_deleting_once(store: ObjectStore, bucket: str) -> None:
    store.write(bucket, "key", b"old")
    stored = store.head(bucket, "key")
    assert stored is not None
    assert store.delete_unchanged(bucket, stored)
    assert store.delete_unchanged(bucket, stored)
    assert store.head(bucket, "key") is None


def test_a_bucket_can_be_created_again(store: ObjectStore, bucket: str) -> None:
    store.write(bucket, "key", b"kept")
    store.create_bucket(bucket)
    assert store.head(bucket, "key") is not None


def test_a_wrong_key_is_a_storage_error(services: RunningServices, bucket: str) -> None:
    stranger = services.settings.model_copy(update={"s3_access_key": None, "s3_secret_key": None})
    wrong = Settings.model_validate(
        {**stranger.model_dump(), "s3_access_key": "stranger", "s3_secret_key": "guess"}
    )
    with pytest.raises(StorageError, match="refused to list"):
        list(open_store(wrong).list(bucket))


def test_a_store_that_is_away_is_a_storage_error(services: RunningServices) -> None:
    away = services.settings.model_copy(update={"s3_endpoint": free_ports().url("s3")})
    with pytest.raises(StorageError, match="PRESAGIO_S3_ENDPOINT"):
        open_store(away).head("csv-data", "key")


def test_a_missing_bucket_is_a_storage_error(store: ObjectStore) -> None:
    with pytest.raises(StorageError, match="NoSuchBucket"):
        list(store.list("no-such-bucket"))
