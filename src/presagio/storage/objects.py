"""Objects in S3: the only module that speaks to the object store."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from presagio.errors import StorageError
from presagio.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GONE = {"404", "NoSuchKey", "NotFound"}
_ALREADY_OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


@dataclass(frozen=True)
class StoredObject:
    """An object as the store lists it; ``etag`` changes when the bytes change."""

    key: str
    size: int
    etag: str


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except ClientError as err:
        code = err.response.get("Error", {}).get("Code", "unknown")
        raise StorageError(
            f"S3 refused to {action}: {code}; check the credentials and the bucket"
        ) from err
    except BotoCoreError as err:
        raise StorageError(f"S3 cannot {action}: {err}; check PRESAGIO_S3_ENDPOINT") from err


class ObjectStore:
    """Reads, writes and lists objects; failures are :class:`StorageError`."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket, or leave it as it is when it is there."""
        with _translated(f"create bucket {bucket}"):
            try:
                self._client.create_bucket(Bucket=bucket)
            except ClientError as err:
                if err.response.get("Error", {}).get("Code") not in _ALREADY_OURS:
                    raise

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects below a prefix, page by page, in the order of their keys."""
        with _translated(f"list {bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"], entry["ETag"].strip('"'))

    def head(self, bucket: str, key: str) -> StoredObject | None:
        """Return what is stored under a key, or None."""
        with _translated(f"look up {bucket}/{key}"):
            try:
                answer = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as err:
                if err.response.get("Error", {}).get("Code") in _GONE:
                    return None
                raise
        return StoredObject(key, answer["ContentLength"], answer["ETag"].strip('"'))

    def read(self, bucket: str, key: str) -> tuple[bytes, StoredObject] | None:
        """Return the bytes under a key with their ETag, or None when there is no such object."""
        with _translated(f"read {bucket}/{key}"):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key)
                body = answer["Body"].read()
            except ClientError as err:
                if err.response.get("Error", {}).get("Code") in _GONE:
                    return None
                raise
        return body, StoredObject(key, len(body), answer["ETag"].strip('"'))

    def write(
        self, bucket: str, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Store bytes under a key, replacing what was there."""
        with _translated(f"write {bucket}/{key}"):
            self._client.put_object(
                Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata or {})
            )

    def delete_unchanged(self, bucket: str, stored: StoredObject) -> bool:
        """Delete an object if it still is the one that was read.

        Returns
        -------
        bool
            False when newer bytes lie under the key, which are left alone.
        """
        current = self.head(bucket, stored.key)
        if current is not None and current.etag != stored.etag:
            return False
        with _translated(f"delete {bucket}/{stored.key}"):
            self._client.delete_object(Bucket=bucket, Key=stored.key)
        return True


def open_store(settings: Settings) -> ObjectStore:
    """Open the object store that the settings name."""
    access, secret = settings.s3_access_key, settings.s3_secret_key
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=access.get_secret_value() if access else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"max_attempts": 3, "mode": "standard"},
            s3={"addressing_style": "path"},
            # Servers other than AWS lag behind with the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return ObjectStore(client)
