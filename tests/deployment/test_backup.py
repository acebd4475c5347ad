"""Buckets as a tar stream, and back, in a real object store."""

import io
import tarfile
from uuid import uuid4

import pytest

from presagio.deployment.backup import restore_buckets, save_buckets
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration


@pytest.fixture
def store(services: RunningServices) -> ObjectStore:
    return open_store(services.settings)


@pytest.fixture
def bucket(store: ObjectStore) -> str:
    name = f"backup-{uuid4().hex[:8]}"
    store.create_bucket(name)
    store.write(name, "a/ñandú 1.csv", b"one", metadata={"sha256": "abc"})
    store.write(name, "b", b"")
    store.write(name, "a/large", b"x" * (3 << 20))
    return name


def _content(store: ObjectStore, bucket: str) -> dict[str, bytes]:
    found = {}
    for stored in store.list(bucket):
        got = store.read(bucket, stored.key)
        assert got is not None
        found[stored.key] = got[0]
    return found


def test_what_was_saved_comes_back_and_nothing_else(store: ObjectStore, bucket: str) -> None:
    before, saved = _content(store, bucket), io.BytesIO()
    assert save_buckets(store, [bucket], saved) == 3
    store.write(bucket, "a/ñandú 1.csv", b"changed")
    store.write(bucket, "came later", b"new")
    assert restore_buckets(store, [bucket], io.BytesIO(saved.getvalue())) == 3
    assert _content(store, bucket) == before
    assert store.metadata(bucket, "a/ñandú 1.csv") == {"sha256": "abc"}


def test_buckets_that_were_not_named_are_left_alone(store: ObjectStore, bucket: str) -> None:
    saved = io.BytesIO()
    save_buckets(store, [bucket], saved)
    store.write(bucket, "b", b"changed")
    assert restore_buckets(store, [], io.BytesIO(saved.getvalue())) == 0
    assert _content(store, bucket)["b"] == b"changed"


def test_half_a_backup_deletes_nothing(store: ObjectStore, bucket: str) -> None:
    saved = io.BytesIO()
    save_buckets(store, [bucket], saved)
    half = io.BytesIO(saved.getvalue()[: len(saved.getvalue()) // 2])
    with pytest.raises(tarfile.TarError):
        restore_buckets(store, [bucket], half)
    assert set(_content(store, bucket)) == {"a/ñandú 1.csv", "b", "a/large"}
