"""What the object store answers when it refuses, and what that means here."""

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from presagio.errors import StorageError

GONE = {"404", "NoSuchKey", "NotFound"}
CHANGED = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
UNCONDITIONAL = {"NotImplemented", "501"}
ALREADY_OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise the errors of boto3 as :class:`StorageError`; the action is named in the message."""
    try:
        yield
    except ClientError as err:
        raise StorageError(
            f"S3 refused to {action}: {code_of(err)}; check the credentials and the bucket"
        ) from err
    except (BotoCoreError, Boto3Error) as err:
        raise StorageError(f"S3 cannot {action}: {err}; check PRESAGIO_S3_ENDPOINT") from err


def code_of(err: ClientError) -> str:
    """Return the error's code, which is what decides, never its text."""
    return str(err.response.get("Error", {}).get("Code", "unknown"))
