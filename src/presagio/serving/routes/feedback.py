"""The route that takes outcomes: they become a file below the incoming prefix."""

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request, Security

from presagio.lifecycle.outcomes import (
    REQUEST_ID,
    SAID_ALARM,
    SAID_VERSION,
    outcomes_csv,
    outcomes_name,
)
from presagio.machine.spec import MachineSpec
from presagio.serving.auth.authorization import admitted
from presagio.serving.auth.tokens import Principal
from presagio.serving.champion.holder import Champion, Served
from presagio.serving.executors import Executor
from presagio.serving.http import bodies
from presagio.serving.http.answers import FeedbackResponse
from presagio.serving.http.idempotency import Idempotency, documented_key
from presagio.serving.http.openapi import schema_reference
from presagio.serving.http.problems import problems
from presagio.serving.routes.requests import FeedbackRequest, Outcome
from presagio.settings import Settings


def _row(spec: MachineSpec, outcome: Outcome, said: tuple[bool, str]) -> dict[str, object]:
    if outcome.said_alarm is not None:
        said = outcome.said_alarm, outcome.said_version or ""
    modes = {mode.name: mode.name == outcome.mode for mode in spec.modes}
    return {
        **{name: getattr(outcome.features, name) for name in spec.input_names},
        spec.target.name: outcome.failure,
        **({} if _mode_is_missing(outcome) else modes),
        SAID_ALARM: said[0],
        SAID_VERSION: said[1],
        REQUEST_ID: outcome.request_id,
    }


def _mode_is_missing(outcome: Outcome) -> bool:
    return outcome.failure and outcome.mode is None


def _store(
    settings: Settings, spec: MachineSpec, outcomes: Sequence[Outcome], served: Served
) -> list[str]:
    from presagio.storage.objects import open_store  # noqa: PLC0415 - a third of a second

    inputs = served.predictor.arrange([vars(outcome.features) for outcome in outcomes])
    alarms = served.predictor.predict(inputs).label.tolist()
    store, keys = open_store(settings), []
    # A file of readings has its labels in every row or in none, so failures without a mode are
    # one of their own.
    for missing in (False, True):
        rows = [
            _row(spec, outcome, (alarm, served.version))
            for outcome, alarm in zip(outcomes, alarms, strict=True)
            if _mode_is_missing(outcome) == missing
        ]
        if rows:
            body = outcomes_csv(rows)
            keys.append(settings.prefixes.incoming + outcomes_name(body))
            store.write(settings.prefixes.bucket, keys[-1], body)
    return keys


def feedback_router(
    spec: MachineSpec,
    wanted: type[FeedbackRequest],
    settings: Settings,
    champion: Champion,
    idempotency: Idempotency,
    outcomes: Executor,
) -> APIRouter:
    """Make the route that takes outcomes."""
    router = APIRouter(tags=["feedback"])
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": schema_reference(FeedbackRequest)},
                "example": {
                    "outcomes": [{"request_id": 123, "features": spec.example, "failure": True}]
                },
            }
        },
    }
    key = documented_key("What is sent again under the same key is taken once.")

    def take(read: FeedbackRequest, key: str | None, digest: str) -> FeedbackResponse:
        if key is not None and (before := idempotency.recall(key, digest)) is not None:
            return FeedbackResponse(**before)
        keys = _store(settings, spec, read.outcomes, champion.served)
        answer = FeedbackResponse(accepted=len(read.outcomes), keys=keys)
        if key is not None:
            idempotency.remember(key, digest, answer.model_dump())
        return answer

    @router.post(
        "/feedback",
        status_code=HTTPStatus.ACCEPTED,
        responses=problems(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.CONFLICT,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        openapi_extra={"requestBody": body, "parameters": [key]},
    )
    async def feedback(
        request: Request, asker: Annotated[Principal, Security(admitted, scopes=["feedback"])]
    ) -> FeedbackResponse:
        """Take what became of readings; the next training learns from it."""
        key = idempotency.key_of(request, asker.subject)
        read = await bodies.read_model(
            request.scope, request.receive, wanted, spec, settings.api_max_body_bytes
        )
        digest = hashlib.sha256(read.model_dump_json().encode()).hexdigest()
        async with idempotency.alone(key):
            return await outcomes.run(take, read, key, digest)

    return router
