"""``Idempotency-Key``: what was sent twice is done once, whichever worker gets it.

What a request answered is kept in the data bucket, under the key, for whoever sends it again
(draft-ietf-httpapi-idempotency-key-header).
"""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fastapi import Request

from presagio.serving.http.key_locks import KeyLocks
from presagio.serving.http.problems import RefusedError
from presagio.settings import Settings

if TYPE_CHECKING:
    from presagio.storage.objects import ObjectStore

PREFIX = "idempotency/"
_LONGEST_KEY = 200
# How long others wait for the answer that is being made under their key.
_WAIT_S = 5.0
_PART = 1 << 20
_REPLAYED = {"Idempotent-Replayed": "true"}

Answer = tuple[Iterator[bytes], dict[str, str]]


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_PART):
            yield part


def documented_key(description: str) -> dict[str, Any]:
    """Return the header as a parameter of an operation in the OpenAPI document."""
    return {
        "name": "Idempotency-Key", "in": "header", "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY},
        "description": description,
    }  # fmt: skip


class Idempotency:
    """Finds what was answered before, and keeps what is answered now."""

    def __init__(self, settings: Settings, locks: KeyLocks) -> None:
        self._settings, self._locks = settings, locks
        self._opened: ObjectStore | None = None

    @property
    def _store(self) -> "ObjectStore":
        if self._opened is None:
            from presagio.storage.objects import open_store  # noqa: PLC0415 - a third of a second

            self._opened = open_store(self._settings)
        return self._opened

    def key_of(self, request: Request, subject: str) -> str | None:
        """Return where a request's answer is kept; None for one without a key.

        Raises
        ------
        RefusedError
            If the key is empty or too long.
        """
        said = request.headers.get("idempotency-key")
        if said is None:
            return None
        if not 0 < len(said.strip('"')) <= _LONGEST_KEY:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, "bad-idempotency-key", "The Idempotency-Key is not usable",
                f"it has 1 to {_LONGEST_KEY} characters",
            )  # fmt: skip
        # By who asks, too: nobody gets somebody else's answers.
        whole = json.dumps([subject, request.url.path, said])
        return PREFIX + hashlib.sha256(whole.encode()).hexdigest()

    @contextlib.asynccontextmanager
    async def alone(self, key: str | None) -> AsyncIterator[None]:
        """Have this request be the only one under its key; others wait for its answer.

        Raises
        ------
        RefusedError
            409, if another one is not answered in time.
        """
        async with contextlib.AsyncExitStack() as stack:
            if key is not None:
                try:
                    await stack.enter_async_context(self._locks.hold(key, _WAIT_S))
                except TimeoutError as err:
                    raise RefusedError(
                        HTTPStatus.CONFLICT, "idempotency-key-in-progress",
                        "A request with this Idempotency-Key is being answered",
                        "send it again later: its answer is given again then",
                        headers={"Retry-After": "1"},
                    ) from err  # fmt: skip
            yield

    def recall(self, key: str, digest: str) -> Any:
        """Return what was remembered under a key; None if nothing was.

        Raises
        ------
        RefusedError
            If it was for another body.
        StorageError
            If the object store does not answer.
        """
        found = self._store.read(self._settings.data_bucket, f"{key}.json")
        if found is None:
            return None
        said = json.loads(found[0])
        if said["digest"] != digest:
            raise RefusedError(
                HTTPStatus.CONFLICT, "idempotency-key-reused",
                "This Idempotency-Key was used for another body", "take a new key for a new body",
            )  # fmt: skip
        return said["answer"]

    def remember(self, key: str, digest: str, answer: Any) -> None:
        """Remember an answer that is plain data."""
        body = json.dumps({"digest": digest, "answer": answer}).encode()
        self._store.write(self._settings.data_bucket, f"{key}.json", body)

    def find(self, key: str, digest: str, folder: Path) -> Answer | None:
        """Return the file that was answered before, fetched into a folder."""
        headers = self.recall(key, digest)
        if headers is None:
            return None
        path = folder / "before"
        file: IO[bytes]
        # Read too: what came is compared with the store's checksum.
        with path.open("w+b") as file:
            if self._store.download(self._settings.data_bucket, f"{key}.answer", file) is None:
                return None
        return _parts(path), headers | _REPLAYED

    def keep(
        self, key: str, digest: str, headers: dict[str, str], parts: Iterator[bytes], folder: Path
    ) -> Iterator[bytes]:
        """Keep a file before it is answered, and return it."""
        path = folder / "answer"
        with path.open("wb") as file:
            file.writelines(parts)
        self._store.upload(self._settings.data_bucket, f"{key}.answer", path)
        self.remember(key, digest, headers)
        return _parts(path)
