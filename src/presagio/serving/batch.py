"""The route that judges files: any kind in, any kind out, a part at a time, faults by row."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from fastapi import APIRouter, Request, Security
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.inference.artifact import sha256_of
from presagio.machine.spec import MachineSpec
from presagio.serving import bodies
from presagio.serving.authorization import admitted
from presagio.serving.champion import Champion, Served
from presagio.serving.formats import FORMATS, JSON, Format, read_json
from presagio.serving.idempotency import Idempotency
from presagio.serving.logs import request_id
from presagio.serving.metrics import Metrics
from presagio.serving.problems import RefusedError, problems
from presagio.serving.readings import ReadingsTable
from presagio.serving.recording import Recorder
from presagio.serving.tokens import Principal
from presagio.settings import Settings

_BY_TYPE = {form.media_type: form for form in FORMATS}
_SENT = "sent"


def _media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def _kind_sent(request: Request) -> Format:
    said = _media_type(request.headers.get("content-type", ""))
    if (found := _BY_TYPE.get(said)) is None:
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unknown-format", "This kind of file is not taken",
            f"Content-Type is one of {', '.join(_BY_TYPE)}",
        )  # fmt: skip
    return found


def _quality(part: str) -> float:
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _kind_wanted(request: Request, sent: Format) -> Format:
    parts = [part for part in request.headers.get("accept", "*/*").split(",") if part.strip()]
    for part in sorted(parts, key=_quality, reverse=True):
        said = _media_type(part)
        if said in {"*/*", "application/*"} and _quality(part) > 0:
            return sent
        if (found := _BY_TYPE.get(said)) is not None and _quality(part) > 0:
            return found
    raise RefusedError(
        HTTPStatus.NOT_ACCEPTABLE, "unknown-format", "This kind of answer is not given",
        f"Accept is one of {', '.join(_BY_TYPE)}",
    )  # fmt: skip


def _unreadable(err: DataError) -> RefusedError:
    return RefusedError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable-file", "The file cannot be judged", str(err)
    )


def _of_wanted_type(values: NDArray[Any], good: NDArray[np.bool_], kind: Any) -> pl.Series:
    """Put the values of good rows at their places, and null at the others."""
    if good.all():
        return pl.Series(values, dtype=kind)
    places = np.flatnonzero(good)
    full = pl.Series([None], dtype=kind).new_from_index(0, len(good))
    return full.scatter(places, pl.Series(values, dtype=kind))


@dataclass(frozen=True)
class _Job:
    """One file: the model that judges all of it, and where its answers are counted and kept."""

    served: Served
    spec: MachineSpec
    metrics: Metrics
    recorder: Recorder
    request: str

    def answers(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield the answers to each part of a table."""
        table, rows = None, 0
        for frame in frames:
            table = table or ReadingsTable(frame.schema, self.spec)
            yield self._judge(table, frame, rows)
            rows += frame.height

    def _judge(self, table: ReadingsTable, frame: pl.DataFrame, first: int) -> pl.DataFrame:
        checked = table.check(frame)
        said = self.served.predictor.predict(checked.inputs)
        self.metrics.rows.inc(len(checked.inputs))
        if alarms := int(said.label.sum()):
            self.metrics.alarm("batch", alarms)
        if len(checked.inputs):
            self.recorder.many(self.request, checked.inputs, said, self.served)
        columns = {
            "row": pl.arange(first, first + frame.height, eager=True),
            "label": _of_wanted_type(said.label, checked.good, pl.Boolean),
            "probability": _of_wanted_type(said.probability, checked.good, pl.Float64),
            "score": _of_wanted_type(said.score, checked.good, pl.Float64),
            "version": pl.Series([self.served.version]).new_from_index(0, frame.height),
            "fault": checked.faults,
        }
        return pl.DataFrame(columns)


def _started(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Have the first part made: what is no such file is refused before the answer starts."""
    first = next(parts, b"")

    def every() -> Iterator[bytes]:
        yield first
        yield from parts

    return every()


async def _spool(request: Request, path: Path, most: int) -> None:
    with path.open("wb") as file:
        async for part in bodies.stream_bytes(request.scope, request.receive, most):
            file.write(part)


def _removing(parts: Iterator[bytes], folder: Path) -> Iterator[bytes]:
    """Yield an answer, and remove its files, also when its reader goes away."""
    try:
        yield from parts
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answer(
    job: _Job, sent: Format, wanted: Format, folder: Path, settings: Settings
) -> Iterator[bytes]:
    frames = (
        read_json((folder / _SENT).read_bytes(), settings.api_max_rows)
        if sent is JSON
        else sent.read(folder / _SENT)
    )
    return _started(wanted.write(job.answers(frames)))


@dataclass(frozen=True)
class BatchJudge:
    """Judges files that were sent."""

    spec: MachineSpec
    settings: Settings
    champion: Champion
    metrics: Metrics
    recorder: Recorder
    idempotency: Idempotency

    async def answer(self, request: Request, subject: str) -> StreamingResponse:
        """Return the answer to a file.

        Raises
        ------
        RefusedError
            If it is no file that can be judged.
        """
        sent = _kind_sent(request)
        wanted = _kind_wanted(request, sent)
        most = self.settings.batch_max_bytes
        folder = Path(tempfile.mkdtemp(prefix="presagio-batch-"))
        try:
            limit = self.settings.api_max_body_bytes if sent is JSON else most
            await _spool(request, folder / _SENT, limit)
            key = self.idempotency.key_of(request, subject)
            parts, headers = await asyncio.to_thread(self._judge, sent, wanted, folder, key)
        except DataError as err:
            shutil.rmtree(folder, ignore_errors=True)
            raise _unreadable(err) from err
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return StreamingResponse(_removing(parts, folder), headers=headers)

    def _judge(
        self, sent: Format, wanted: Format, folder: Path, key: str | None
    ) -> tuple[Iterator[bytes], dict[str, str]]:
        digest = ""
        if key is not None:
            digest = f"{sha256_of(folder / _SENT)} {wanted.media_type}"
            if (before := self.idempotency.find(key, digest, folder)) is not None:
                return before
        served = self.champion.served
        job = _Job(served, self.spec, self.metrics, self.recorder, request_id.get() or "")
        headers = {
            "Content-Type": wanted.media_type,
            "X-Presagio-Model": served.model,
            "X-Presagio-Version": served.version,
            "X-Presagio-Degraded": str(served.degraded).lower(),
        }
        parts = _answer(job, sent, wanted, folder, self.settings)
        if key is not None:
            parts = self.idempotency.keep(key, digest, headers, parts, folder)
        return parts, headers


def _responses() -> dict[int | str, dict[str, Any]]:
    tables: dict[str, Any] = {form.media_type: {"schema": {"type": "string"}} for form in FORMATS}
    row = {
        "type": "object",
        "properties": {
            "row": {"type": "integer", "description": "Place in the file, from 0."},
            "label": {"type": ["boolean", "null"]},
            "probability": {"type": ["number", "null"]},
            "score": {"type": ["number", "null"]},
            "version": {"type": "string"},
            "fault": {"type": ["string", "null"], "description": "Why it could not be judged."},
        },
    }
    tables[JSON.media_type] = {"schema": {"type": "array", "items": row}}
    return {
        HTTPStatus.OK.value: {"description": "A row for each row, in order.", "content": tables},
        **problems(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                   HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                   HTTPStatus.SERVICE_UNAVAILABLE),
    }  # fmt: skip


def _documented(spec: MachineSpec) -> dict[str, Any]:
    example = dict(spec.example)
    line = ",".join(str(value).lower() for value in example.values())
    reading = {"type": "array", "items": {"$ref": "#/components/schemas/Features"}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    text = {"schema": {"type": "string"}}
    content: dict[str, Any] = {form.media_type: binary for form in FORMATS}
    content["application/json"] = {"schema": reading, "example": [example]}
    content["text/csv"] = {**text, "example": f"{','.join(example)}\n{line}\n"}
    content["application/x-ndjson"] = {**text, "example": json.dumps(example) + "\n"}
    key = {
        "name": "Idempotency-Key", "in": "header", "required": False,
        "schema": {"type": "string", "maxLength": 200},
        "description": "The same file under the same key is judged once.",
    }  # fmt: skip
    return {"requestBody": {"required": True, "content": content}, "parameters": [key]}


def batch_router(judge: BatchJudge) -> APIRouter:
    """Make the route that judges files."""
    router = APIRouter(tags=["predict"])

    @router.post(
        "/predict/batch",
        response_class=StreamingResponse,
        responses=_responses(),
        openapi_extra=_documented(judge.spec),
    )
    async def predict_batch(
        request: Request, asker: Annotated[Principal, Security(admitted, scopes=["predict"])]
    ) -> StreamingResponse:
        """Judge a file of readings: JSON (up to 1,000), CSV, NDJSON, Parquet or an Arrow stream.

        The answer has a row for each row, in order; one that cannot be judged says why in
        `fault`, and the others are judged all the same. `Accept` names the kind of the answer,
        which is that of the file otherwise. One model version judges the whole file. With an
        `Idempotency-Key` the same file is judged once, and its answer given again.
        """
        return await judge.answer(request, asker.subject)

    return router
