"""The route that predicts files: any kind in, any kind out, a part at a time, faults by row."""

import json
import logging
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Security
from fastapi.responses import StreamingResponse

from presagio.errors import (
    DataError,
    PresagioError,
    ReaderEndedError,
    ReadersBusyError,
    UnreadableFileError,
)
from presagio.machine.spec import MachineSpec
from presagio.serving.auth.authorization import admitted
from presagio.serving.bookkeeping import Bookkeeping
from presagio.serving.champion.holder import Champion
from presagio.serving.executors import Executor
from presagio.serving.http import bodies
from presagio.serving.http.openapi import IDEMPOTENCY_KEY
from presagio.serving.http.problems import RefusedError, problems
from presagio.settings import Settings

_log = logging.getLogger(__name__)
_REFUSED = (DataError, UnreadableFileError, ReaderEndedError, ReadersBusyError)
_JSON = "application/json"
_Answer = tuple[Iterator[bytes], dict[str, str]]
_TYPES = (
    _JSON,
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
)


def _media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def _type_sent(request: Request) -> str:
    kind = _media_type(request.headers.get("content-type", ""))
    if kind not in _TYPES:
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unknown-format", "This kind of file is not taken",
            f"Content-Type is one of {', '.join(_TYPES)}",
        )  # fmt: skip
    return kind


def _quality(part: str) -> float:
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _type_wanted(request: Request, sent: str) -> str:
    parts = request.headers.get("accept", "*/*").split(",")
    for part in sorted((part for part in parts if _quality(part) > 0), key=_quality, reverse=True):
        kind = _media_type(part)
        if kind == "*/*":
            return sent
        if kind in _TYPES:
            return kind
    raise RefusedError(
        HTTPStatus.NOT_ACCEPTABLE, "unknown-format", "This kind of answer is not given",
        f"Accept is one of {', '.join(_TYPES)}",
    )  # fmt: skip


def _refusal(err: PresagioError) -> RefusedError:
    """Say why a file is not answered; none of it is the server's fault."""
    if isinstance(err, ReadersBusyError):
        return RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Other files are read", str(err),
            headers={"Retry-After": "10"},
        )  # fmt: skip
    if isinstance(err, ReaderEndedError):
        _log.warning("a file ended its reader (%s): %s", err.reason, err)
    return RefusedError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable-file", "The file cannot be read", str(err)
    )


class _AnswerParts:
    """The parts of an answer, taken in threads, one after the other."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._taking = parts, threading.Lock()

    def take(self) -> bytes | None:
        """Return the next part; None after the last."""
        with self._taking:
            return next(self._parts, None)

    def close(self) -> None:
        """Let go of what the parts are made of, such as a reader that is not done yet."""
        with self._taking:
            if isinstance(self._parts, Generator):
                self._parts.close()


async def _removing(parts: Iterator[bytes], folder: Path, files: Executor) -> AsyncIterator[bytes]:
    """Yield an answer, and remove its files, also when its reader goes away."""
    answer = _AnswerParts(parts)
    try:
        while (part := await files.resume(answer.take)) is not None:
            yield part
    finally:
        # Nobody may be waited for here: a request that was cut off ends at once.
        files.start(answer.close)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Batches:
    """Takes files, and answers them."""

    spec: MachineSpec
    settings: Settings
    champion: Champion
    books: Bookkeeping
    files: Executor

    async def answer(self, request: Request) -> StreamingResponse:
        """Return the answer to a file.

        Raises
        ------
        RefusedError
            If it is no file that can be read.
        """
        sent = _type_sent(request)
        wanted = _type_wanted(request, sent)
        limits = self.settings
        most = limits.api_max_body_bytes if sent == _JSON else limits.batch_max_bytes
        folder = Path(tempfile.mkdtemp(prefix="presagio-batch-"))
        try:
            with (folder / "sent").open("wb") as file:
                async for part in bodies.stream_bytes(request.scope, request.receive, most):
                    file.write(part)
            parts, headers = await self.files.run(self._score, sent, wanted, folder)
        except _REFUSED as err:
            shutil.rmtree(folder, ignore_errors=True)
            raise _refusal(err) from err
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return StreamingResponse(_removing(parts, folder, self.files), headers=headers)

    def _score(self, sent: str, wanted: str, folder: Path) -> _Answer:
        # Polars takes half a second to import: for the first file, not for the start.
        from presagio.serving.routes.files import FileScorer  # noqa: PLC0415

        served = self.champion.served
        scorer = FileScorer(served, self.spec, self.books, self.settings)
        headers = {
            "Content-Type": wanted,
            "X-Presagio-Model": served.model,
            "X-Presagio-Version": served.version,
            "X-Presagio-Degraded": str(served.degraded).lower(),
        }
        return scorer.answer(folder / "sent", sent, wanted), headers


_ROW = {
    "type": "object",
    "properties": {
        "row": {"type": "integer", "description": "Place in the file, from 0."},
        "unit": {
            "type": ["string", "null"],
            "description": "Of which unit the row is, and `time` when it was, where a row's answer "
            "hangs on those before it.",
        },
        "time": {"type": ["string", "number", "null"]},
        "label": {"type": ["boolean", "null"]},
        "probability": {"type": ["number", "null"]},
        "score": {"type": ["number", "null"]},
        "mode": {
            "type": ["string", "null"],
            "description": "Likeliest failure mode of an alarm; null where there is no alarm.",
        },
        "remaining_life": {
            "type": ["number", "null"],
            "description": "How long the unit has left, where the machine spec wants that; "
            "`remaining_low` and `remaining_high` are the interval, the latter null where it may "
            "be longer than is told apart.",
        },
        "remaining_low": {"type": ["number", "null"]},
        "remaining_high": {"type": ["number", "null"]},
        "imputed": {
            "type": ["string", "null"],
            "description": "Features that were missing, with a space between them; only where the "
            "machine spec lets any be missing.",
        },
        "carried": {
            "type": ["string", "null"],
            "description": "Those for which the unit's last value in the file stands in, where the "
            "machine spec wants it and the file names unit and time; for the others it is the "
            "median of the training data.",
        },
        "version": {"type": "string"},
        "fault": {"type": ["string", "null"], "description": "Why it could not be predicted."},
        "reason": {
            "type": ["string", "null"],
            "description": "The codes of these faults, with a space between them.",
        },
    },
}


def _responses() -> dict[int | str, dict[str, Any]]:
    tables: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in _TYPES}
    tables[_JSON] = {"schema": {"type": "array", "items": _ROW}}
    return {
        HTTPStatus.OK.value: {"description": "A row for each row, in order.", "content": tables},
        **problems(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.NOT_ACCEPTABLE,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    }


def _documented(spec: MachineSpec) -> dict[str, Any]:
    example = dict(spec.example)
    line = ",".join(str(value).lower() for value in example.values())
    reading = {"type": "array", "items": {"$ref": "#/components/schemas/Features"}}
    text = {"schema": {"type": "string"}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = dict.fromkeys(_TYPES, binary)
    content[_JSON] = {"schema": reading, "example": [example]}
    content["text/csv"] = {**text, "example": f"{','.join(example)}\n{line}\n"}
    content["application/x-ndjson"] = {**text, "example": json.dumps(example) + "\n"}
    return {
        "requestBody": {"required": True, "content": content}, "parameters": [IDEMPOTENCY_KEY],
    }  # fmt: skip


def batch_router(batches: Batches) -> APIRouter:
    """Make the route that predicts files."""
    router = APIRouter(tags=["predict"])

    @router.post(
        "/predict/batch",
        response_class=StreamingResponse,
        dependencies=[Security(admitted, scopes=["predict"])],
        responses=_responses(),
        openapi_extra=_documented(batches.spec),
    )
    async def predict_batch(request: Request) -> StreamingResponse:
        """Predict a file of readings: JSON (up to 1,000), CSV, NDJSON, Parquet or an Arrow stream.

        The answer has a row for each row, in order; one that cannot be predicted says why
        in `fault`, and the others are predicted all the same. `Accept` names the kind of the
        answer, which is that of the file otherwise. One model version predicts the whole file.
        """
        return await batches.answer(request)

    return router
