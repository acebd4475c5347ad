"""Whether the bytes that came are the object that the store has."""

import hashlib
import re
from collections.abc import Mapping
from typing import IO, Any

_MD5 = re.compile("[0-9a-f]{32}")
_BLOCK = 1 << 20


def md5_of(answer: Mapping[str, Any]) -> str | None:
    """Return the MD5 that an answer's ETag is; None where it is no such sum.

    The ETag of an object that went up in parts, or is encrypted with a key of the customer's or of
    a key service, is none.
    """
    if answer.get("SSECustomerAlgorithm") or "kms" in str(answer.get("ServerSideEncryption", "")):
        return None
    etag = str(answer.get("ETag", "")).strip('"')
    return etag if _MD5.fullmatch(etag) else None


def file_md5(file: IO[bytes]) -> str:
    """Return the MD5 of a file, which is left at its end."""
    file.seek(0)
    digest = hashlib.md5(usedforsecurity=False)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
