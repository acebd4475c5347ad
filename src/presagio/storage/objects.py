"""Objects in S3: the only module that speaks to the object store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from presagio.errors import StorageError
from presagio.settings import Settings
from presagio.storage.downloads import file_md5, md5_of
from presagio.storage.refusals import (
    ALREADY_OURS,
    CHANGED,
    GONE,
    UNCONDITIONAL,
    code_of,
    translated,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 3
_BLOCK = 1 << 20
# The most that S3 takes in one request.
_REMOVED_AT_ONCE = 1000
# What is larger goes up in parts; fewer and larger parts than boto3's own, to hold less at once.
_PARTS = TransferConfig(
    multipart_threshold=64 << 20, multipart_chunksize=32 << 20, max_concurrency=2
)


def _any_size(_: int) -> None: ...


@dataclass(frozen=True)
class StoredObject:
    """An object in the store; ``etag`` changes when the bytes change.

    ``version_id`` is set where the bucket keeps versions and the store has been asked for one.
    """

    key: str
    size: int
    etag: str
    version_id: str | None = None


@dataclass(frozen=True)
class StoredBytes:
    """The bytes of an object, on their way: how many there are, and the blocks, to be read once."""

    size: int
    blocks: Iterator[bytes]


class ObjectStore:
    """Reads, writes and lists objects; failures are :class:`StorageError`."""

    def __init__(self, client: "S3Client", *, etag_is_md5: bool = True) -> None:
        self._client, self._etag_is_md5 = client, etag_is_md5

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket, or leave it as it is when it is there."""
        with translated(f"create bucket {bucket}"):
            try:
                self._client.create_bucket(Bucket=bucket)
            except ClientError as err:
                if code_of(err) not in ALREADY_OURS:
                    raise

    def list(
        self, bucket: str, prefix: str = "", *, page_size: int = 1000
    ) -> Iterator[StoredObject]:
        """Yield the objects below a prefix, page by page, in the order of their keys."""
        with translated(f"list {bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": page_size}
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"], entry["ETag"].strip('"'))

    def head(self, bucket: str, key: str) -> StoredObject | None:
        """Return what is stored under a key, or None."""
        with translated(f"look up {bucket}/{key}"):
            try:
                answer = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as err:
                if code_of(err) in GONE:
                    return None
                raise
        return StoredObject(key, answer["ContentLength"], answer["ETag"].strip('"'))

    def metadata(self, bucket: str, key: str) -> dict[str, str]:
        """Return the metadata that an object was stored with; nothing for one that is gone."""
        with translated(f"look up {bucket}/{key}"):
            try:
                stored = self._client.head_object(Bucket=bucket, Key=key)["Metadata"]
            except ClientError as err:
                if code_of(err) in GONE:
                    return {}
                raise
        # They travel as headers, which some servers write with capitals.
        return {name.lower(): value for name, value in stored.items()}

    def read(self, bucket: str, key: str) -> tuple[bytes, StoredObject] | None:
        """Return the bytes under a key with their ETag, or None when there is no such object."""
        with translated(f"read {bucket}/{key}"):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key)
                body = answer["Body"].read()
            except ClientError as err:
                if code_of(err) in GONE:
                    return None
                raise
        return body, StoredObject(key, len(body), answer["ETag"].strip('"'))

    def download(
        self,
        bucket: str,
        key: str,
        file: IO[bytes],
        *,
        check_size: Callable[[int], None] = _any_size,
    ) -> StoredObject | None:
        """Bring an object into a file, block by block; None when there is no such object.

        A transfer that breaks off, or brings other bytes than the store has, is begun again. The
        file then holds the object that the last answer was about, and nothing else; it must be open
        for reading too.

        Parameters
        ----------
        bucket, key
            Which object.
        file
            Where its bytes go.
        check_size
            Called with its size in bytes before any is read; what it raises ends the transfer.

        Raises
        ------
        StorageError
            If the store cannot be reached, or its answers differ from what it has.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            file.seek(0)
            file.truncate()
            with translated(f"read {bucket}/{key}"):
                try:
                    answer = self._client.get_object(Bucket=bucket, Key=key)
                    with closing(answer["Body"]) as body:
                        check_size(answer["ContentLength"])
                        for block in body.iter_chunks(_BLOCK):
                            file.write(block)
                except ClientError as err:
                    if code_of(err) in GONE:
                        return None
                    raise
                except BotoCoreError:
                    if attempt == _ATTEMPTS:
                        raise
                    continue
            version = answer.get("VersionId")
            stored = StoredObject(
                key,
                file.tell(),
                answer["ETag"].strip('"'),
                None if version == "null" else version,
            )
            if (fault := self._difference(bucket, stored, answer, file)) is None:
                return stored
        raise StorageError(f"S3 cannot read {bucket}/{key}: {fault}; it stays and is tried again")

    def _difference(
        self, bucket: str, stored: StoredObject, answer: Mapping[str, Any], file: IO[bytes]
    ) -> str | None:
        """Say how the bytes that came differ from what the store has, if they do."""
        if self._etag_is_md5 and (md5 := md5_of(answer)) is not None:
            if (found := file_md5(file)) != md5:
                return (
                    f"{stored.size:,} bytes came with the MD5 {found}, and its ETag is {md5} (if "
                    "the store's ETags are no MD5 sums, set PRESAGIO_S3_ETAG_IS_MD5=false)"
                )
            return None
        current = self.head(bucket, stored.key)
        if current is not None and current.etag == stored.etag and current.size != stored.size:
            return f"{stored.size:,} bytes came, and it has {current.size:,}"
        return None

    def stream(self, bucket: str, key: str) -> "StoredBytes | None":
        """Open an object to be read once, block by block; None when there is no such object.

        Unlike :meth:`download` it needs no disk, and begins nothing again: a transfer that breaks
        off is a :class:`.StorageError` in the middle.
        """
        with translated(f"read {bucket}/{key}"):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key)
            except ClientError as err:
                if code_of(err) in GONE:
                    return None
                raise

        def blocks() -> Iterator[bytes]:
            with translated(f"read {bucket}/{key}"), closing(answer["Body"]) as body:
                yield from body.iter_chunks(_BLOCK)

        return StoredBytes(answer["ContentLength"], blocks())

    def write(
        self, bucket: str, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Store bytes under a key, replacing what was there."""
        with translated(f"write {bucket}/{key}"):
            self._client.put_object(
                Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata or {})
            )

    def upload(
        self, bucket: str, key: str, path: Path, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Store a file under a key, replacing what was there; a large one goes up in parts."""
        with translated(f"write {bucket}/{key}"):
            if path.stat().st_size < _PARTS.multipart_threshold:
                with path.open("rb") as body:
                    self._client.put_object(
                        Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata or {})
                    )
                return
            self._client.upload_file(
                str(path), bucket, key,
                ExtraArgs={"Metadata": dict(metadata or {})}, Config=_PARTS,
            )  # fmt: skip

    def delete_unchanged(self, bucket: str, stored: StoredObject) -> bool:
        """Delete an object if it still is the one that was read.

        A bucket that keeps versions loses that version and no other. Elsewhere the ETag is compared
        first, and the store is asked to compare it again as it deletes; a store that does not
        heed that leaves the milliseconds between the two.

        Returns
        -------
        bool
            False when newer bytes lie under the key, which are left alone.
        """
        with translated(f"delete {bucket}/{stored.key}"):
            if stored.version_id is not None:
                self._client.delete_object(
                    Bucket=bucket, Key=stored.key, VersionId=stored.version_id
                )
                return True
            current = self.head(bucket, stored.key)
            if current is None:
                return True
            if current.etag != stored.etag:
                return False
            return self._delete_if(bucket, stored)

    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects, whatever they are by now; what is gone is gone.

        Raises
        ------
        StorageError
            If one of them cannot be deleted; others may have been.
        """
        for start in range(0, len(keys), _REMOVED_AT_ONCE):
            some = keys[start : start + _REMOVED_AT_ONCE]
            with translated(f"delete {len(some)} objects, {bucket}/{some[0]} first"):
                answer = self._client.delete_objects(
                    Bucket=bucket,
                    Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
                )
            for error in answer.get("Errors", []):
                if error.get("Code") not in GONE:
                    raise StorageError(
                        f"S3 cannot delete {bucket}/{error.get('Key')}: {error.get('Code')}"
                    )

    def _delete_if(self, bucket: str, stored: StoredObject) -> bool:
        try:
            self._client.delete_object(Bucket=bucket, Key=stored.key, IfMatch=f'"{stored.etag}"')
        except ClientError as err:
            if code_of(err) in CHANGED:
                return False
            if code_of(err) not in UNCONDITIONAL:
                raise
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
            read_timeout=settings.s3_timeout_s,
            # As many as threads that file objects, and one for large uploads.
            max_pool_connections=16,
            retries={"max_attempts": 3, "mode": "standard"},
            s3={"addressing_style": "path"},
            # Servers other than AWS lag behind with the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return ObjectStore(client, etag_is_md5=settings.s3_etag_is_md5)
