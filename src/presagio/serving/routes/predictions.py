"""The route that predicts one reading."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from fastapi import APIRouter, Request, Response, Security
from pydantic import ValidationError
from pydantic_core import to_json

from presagio.inference.diagnosis import Explanation, describe_explanation, explain
from presagio.inference.imputation import missing_in
from presagio.inference.remaining_life import as_answer
from presagio.machine.spec import MachineSpec
from presagio.serving.auth.authorization import Guard, admitted
from presagio.serving.bookkeeping import Answer, Bookkeeping
from presagio.serving.champion.holder import Champion
from presagio.serving.champion.served import Served
from presagio.serving.executors import Executor
from presagio.serving.http import bodies
from presagio.serving.http.answers import FieldFault
from presagio.serving.http.edge import Send
from presagio.serving.http.openapi import schema_reference
from presagio.serving.http.prediction_answers import (
    AlarmDiagnosis,
    ForeseenResponse,
    PredictResponse,
)
from presagio.serving.http.problems import RefusedError, invalid, problems, shown
from presagio.serving.logs import request_id
from presagio.serving.routes.requests import PredictRequest, colons_of
from presagio.serving.routes.series import SentReading, largest_changes, read_sent, rehearse_times
from presagio.settings import Settings

_BOOLEANS = {"true": True, "false": False}
_MOST_PARAMETERS = 20
# Longer ones take milliseconds, and other connections wait meanwhile.
_MOST_AT_ONCE = 64 << 10


def _diagnosis(
    spec: MachineSpec, found: Explanation, sent: SentReading | None = None
) -> AlarmDiagnosis:
    described = describe_explanation(spec, found)
    changes = largest_changes(sent.changes(), described["contributions"]) if sent else []
    return AlarmDiagnosis(**described, changes=changes)


def _wants_explanation(query: bytes) -> bool:
    if not query:
        return False
    text = query.decode("latin-1")
    try:
        asked = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        return _BOOLEANS[asked.get("explain", ["false"])[-1]]
    except (KeyError, ValueError) as err:
        raise invalid(
            [FieldFault(field="explain", got=shown(text), allowed="true or false")]
        ) from err


def _as_json(
    response_id: int, values: Sequence[float], answer: Answer, served: Served,
    diagnosis: AlarmDiagnosis | None, more: Mapping[str, object],
) -> bytes:  # fmt: skip
    score, probability, label = answer
    artifact = served.predictor.artifact
    # The members of PredictResponse, whose values need no validation: they are made here.
    return to_json(
        {
            "response_id": response_id,
            "label": label,
            "probability": probability,
            "model": served.model,
            "version": served.version,
            "degraded": served.degraded,
            "threshold": artifact.manifest.threshold,
            "score": score,
            "imputed": missing_in(artifact.spec, values),
            **more,
            "diagnosis": diagnosis,
        }
    )


class Predictions:
    """Predicts one reading a request; plain ASGI, which is called thousands of times a second."""

    def __init__(
        self, spec: MachineSpec, wanted: type[PredictRequest], settings: Settings, guard: Guard,
        champion: Champion, books: Bookkeeping, explanations: Executor,
    ) -> None:  # fmt: skip
        self._spec, self._wanted, self._guard = spec, wanted, guard
        self.path = f"{settings.fleet_route}/predict"
        self._champion, self._books = champion, books
        self._most, self._explanations = settings.api_max_body_bytes, explanations
        # What is said of each answer of a machine whose failures are foreseen.
        self._more = {} if spec.label.horizon is None else {"horizon": spec.label.within}

    async def answer(self, scope: bodies.Scope, receive: bodies.Receive) -> bytes:
        """Return the answer to a request, as JSON.

        Raises
        ------
        RefusedError
            If who asks may not, or what is asked is not a reading.
        """
        await self._guard.admit(scope, "predict")
        explained = _wants_explanation(scope["query_string"])
        read = await bodies.read_model(
            scope, receive, self._wanted, self._spec, self._most, colons_of
        )
        served = self._champion.served
        sent = read_sent(self._spec, served.predictor, read)
        answer, left = served.predictor.foresee_one(sent.inputs)
        label, mode, diagnosis = answer[2], None, None
        if label or explained:
            # A millisecond: other requests do not wait for it.
            found = await self._explanations.run(
                explain, served.predictor, np.array(sent.inputs), alarm=label
            )
            mode, diagnosis = found.mode, _diagnosis(self._spec, found, sent)
        request = request_id.get() or ""
        self._books.one(request, read.request_id, sent.values, answer, served, mode)
        more = self._said_besides(served, sent, left)
        return _as_json(read.request_id, sent.values, answer, served, diagnosis, more)

    def _said_besides(
        self, served: Served, sent: SentReading, left: float | None
    ) -> dict[str, object]:
        more: dict[str, object] = {**self._more}
        if sent.rows_used is not None:
            more |= {"rows_used": sent.rows_used, "complete": sent.complete}
        table = served.predictor.artifact.manifest.remaining
        if table is not None and left is not None:
            more["remaining_life"] = as_answer(table, left)
        return more

    def at_once(self, scope: bodies.Scope, body: bytes | bytearray, request: str) -> bytes | None:
        """Return the answer to a plain request that is no alarm; None for any other.

        Those go through :meth:`answer`, which does all of it, and refuses what is to be refused.
        """
        if (
            scope["query_string"] or len(body) > min(self._most, _MOST_AT_ONCE)
            or bodies.is_coded(scope) or not self._guard.remembers(scope, "predict")
        ):  # fmt: skip
            return None
        served = self._champion.served
        try:
            read = self._wanted.model_validate_json(body)
            if bodies.may_repeat_keys(body, colons_of(read)):
                return None
            sent = read_sent(self._spec, served.predictor, read)
        except (ValidationError, RefusedError):
            return None
        answer, left = served.predictor.foresee_one(sent.inputs)
        if answer[2]:
            return None
        more = self._said_besides(served, sent, left)
        found = _as_json(read.request_id, sent.values, answer, served, None, more)
        self._books.one(request, read.request_id, sent.values, answer, served)
        return found

    def rehearse(self) -> None:
        """Do what a request has done, once, and neither count nor keep it: first times are slow."""
        if self._spec.has_history:
            rehearse_times(self._spec)
        example = {"request_id": 0, "features": dict(self._spec.example)}
        read = self._wanted.model_validate_json(json.dumps(example))
        served = self._champion.served
        values = served.predictor.values(vars(read.features))
        answer = served.predictor.predict_one(values)
        found = explain(served.predictor, np.array(values), alarm=True)
        _as_json(read.request_id, values, answer, served, _diagnosis(self._spec, found), self._more)
        self._books.metrics.prepare(self.path, HTTPStatus.OK)

    async def __call__(self, scope: bodies.Scope, receive: bodies.Receive, send: Send) -> None:
        """Answer as ASGI."""
        body = await self.answer(scope, receive)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def predict_router(spec: MachineSpec, predictions: Predictions) -> APIRouter:
    """Document the route; the edge calls :class:`Predictions` without the framework's way there."""
    router = APIRouter(tags=["predict"])
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": schema_reference(PredictRequest)},
                "example": {"request_id": 123, "features": spec.example},
            }
        },
    }
    foreseen = spec.has_history or spec.label.horizon is not None
    answers: dict[int | str, dict[str, Any]] = {
        HTTPStatus.OK.value: {"model": ForeseenResponse if foreseen else PredictResponse},
        **problems(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    }
    explain_too = {
        "name": "explain", "in": "query", "required": False,
        "schema": {"type": "boolean", "default": False},
        "description": "Explain the answer though it is no alarm.",
    }  # fmt: skip

    @router.post(
        "/predict",
        dependencies=[Security(admitted, scopes=["predict"])],
        responses=answers,
        openapi_extra={"requestBody": body, "parameters": [explain_too]},
    )
    async def predict(request: Request) -> Response:
        """Tell whether a failure is expected for one reading, and for an alarm why."""
        raw = await predictions.answer(request.scope, request.receive)
        return Response(raw, media_type="application/json")

    return router
