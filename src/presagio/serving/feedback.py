"""The route that takes outcomes: they become a file below the incoming prefix."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from presagio.inference.outcomes import (
    REQUEST_ID,
    SAID_ALARM,
    SAID_VERSION,
    outcomes_csv,
    outcomes_name,
)
from presagio.machine.spec import MachineSpec
from presagio.serving.champion import Served
from presagio.serving.contract import (
    FeedbackRequest,
    FeedbackResponse,
    Outcome,
    Problem,
    schema_reference,
)
from presagio.serving.problems import read_body
from presagio.serving.routes import PROBLEM, ServedChampion
from presagio.settings import Settings
from presagio.storage.objects import open_store


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
    spec: MachineSpec, wanted: type[FeedbackRequest], settings: Settings
) -> APIRouter:
    """Routes that take outcomes."""
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
    away: dict[str, Any] = {
        "description": "The object store does not answer; send them again later.",
        "content": {"application/problem+json": {"schema": {"$ref": schema_reference(Problem)}}},
    }

    async def outcomes(request: Request) -> FeedbackRequest:
        return await read_body(request, wanted, spec)

    @router.post(
        "/feedback",
        status_code=HTTPStatus.ACCEPTED,
        responses={HTTPStatus.SERVICE_UNAVAILABLE.value: away, **PROBLEM},
        openapi_extra={"requestBody": body},
    )
    async def feedback(
        read: Annotated[FeedbackRequest, Depends(outcomes)], champion: ServedChampion
    ) -> FeedbackResponse:
        """Take what became of readings; the next training learns from it."""
        keys = await asyncio.to_thread(_store, settings, spec, read.outcomes, champion.served)
        return FeedbackResponse(accepted=len(read.outcomes), keys=keys)

    return router
