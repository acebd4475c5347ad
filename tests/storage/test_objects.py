import io
from collections.abc import Iterator

import pytest

from presagio.errors import StorageError
from presagio.ingest.filing import Intake
from presagio.settings import Settings
from presagio.storage.downloads import md5_of
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices, free_ports
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy

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


@pytest.fixture
def proxy(services: RunningServices) -> Iterator[FaultyProxy]:
    with faulty_proxy(("127.0.0.1", services.ports.s3)) as proxy:
        yield proxy


def _behind(services: RunningServices, proxy: FaultyProxy, **changes: object) -> ObjectStore:
    update = {"s3_endpoint": proxy.url, "s3_timeout_s": 2.0, **changes}
    return open_store(services.settings.model_copy(update=update))


@pytest.mark.parametrize("fault", ["short", "altered"])
def test_a_download_that_is_not_the_object_is_tried_again(
    store: ObjectStore, bucket: str, services: RunningServices, proxy: FaultyProxy, fault: Fault
) -> None:
    store.write(bucket, "key", b"forty of six hundred rows")
    proxy.choose = lambda number: fault if number < 2 else "none"
    file = io.BytesIO()
    assert _behind(services, proxy).download(bucket, "key", file) is not None
    assert file.getvalue() == b"forty of six hundred rows"
    assert proxy.met[:2] == [fault, fault]


@pytest.mark.parametrize("fault", ["short", "altered"])
def test_a_download_that_never_is_the_object_is_no_download(
    store: ObjectStore, bucket: str, services: RunningServices, proxy: FaultyProxy, fault: Fault
) -> None:
    store.write(bucket, "key", b"forty of six hundred rows")
    proxy.choose = lambda _number: fault
    with pytest.raises(StorageError, match="PRESAGIO_S3_ETAG_IS_MD5"):
        _behind(services, proxy).download(bucket, "key", io.BytesIO())


def test_lengths_are_compared_where_etags_are_no_sums(
    store: ObjectStore, bucket: str, services: RunningServices, proxy: FaultyProxy
) -> None:
    store.write(bucket, "key", b"forty of six hundred rows")
    proxy.choose = lambda _number: "short"
    with pytest.raises(StorageError, match="12 bytes came, and it has 25"):
        _behind(services, proxy, s3_etag_is_md5=False).download(bucket, "key", io.BytesIO())


@pytest.mark.parametrize(
    ("answer", "md5"),
    [
        ({"ETag": f'"{"a" * 32}"'}, "a" * 32),
        ({"ETag": f'"{"a" * 32}"', "ServerSideEncryption": "AES256"}, "a" * 32),
        ({"ETag": f'"{"a" * 32}"', "ServerSideEncryption": "aws:kms"}, None),
        ({"ETag": f'"{"a" * 32}"', "SSECustomerAlgorithm": "AES256"}, None),
        ({"ETag": f'"{"a" * 32}-2"'}, None),
        ({"ETag": '"0x8DA"'}, None),
        ({}, None),
    ],
)
def test_an_etag_is_a_sum_only_where_it_can_be(answer: dict[str, str], md5: str | None) -> None:
    assert md5_of(answer) == md5
