"""The routes; each reads as its contract."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from presagio.machine.spec import MachineSpec
from presagio.serving.champion import Champion
from presagio.serving.contract import (
    PredictRequest,
    PredictResponse,
    Problem,
    Readiness,
    schema_reference,
)
from presagio.serving.problems import invalid_request


def _champion(request: Request) -> Champion:
    champion: Champion = request.app.state.champion
    return champion


ServedChampion = Annotated[Champion, Depends(_champion)]

_PROBLEM: dict[int | str, dict[str, Any]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY.value: {
        "description": "What was wrong, field by field.",
        "content": {"application/problem+json": {"schema": {"$ref": schema_reference(Problem)}}},
    }
}


def health_router() -> APIRouter:
    """Routes that say how the service is."""
    router = APIRouter(tags=["health"])

    @router.get("/")
    async def root() -> dict[str, str]:
        """Say that the API is there."""
        return {"message": "Presagio predicts machine failures. See /docs."}

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "live"}

    @router.get("/health/ready")
    async def ready(champion: ServedChampion) -> Readiness:
        """Say which model answers, and whether it is the champion."""
        served = champion.served
        return Readiness(
            status="ready",
            model=served.model,
            version=served.version,
            source=served.source,
            degraded=served.degraded,
            reason=champion.reason,
        )

    return router


def predict_router(spec: MachineSpec, wanted: type[PredictRequest]) -> APIRouter:
    """Routes that answer predictions: for one machine spec, and the request made from it."""
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

    async def reading(request: Request) -> PredictRequest:
        # From bytes to model in one step: faster than parsing JSON first, and what is no JSON,
        # no UTF-8 or no number is a fault of the request like any other.
        try:
            return wanted.model_validate_json(await request.body())
        except ValidationError as err:
            raise invalid_request(err, spec) from err

    @router.post(
        "/predict",
        responses={HTTPStatus.OK.value: {"model": PredictResponse}, **_PROBLEM},
        openapi_extra={"requestBody": body},
    )
    async def predict(
        read: Annotated[PredictRequest, Depends(reading)], champion: ServedChampion
    ) -> Response:
        """Tell whether a failure is expected for one reading."""
        served = champion.served
        inputs = served.predictor.arrange([vars(read.features)])
        said = served.predictor.predict(inputs)
        answer = PredictResponse(
            response_id=read.request_id,
            label=bool(said.label[0]),
            probability=float(said.probability[0]),
            model=served.model,
            version=served.version,
            degraded=served.degraded,
        )
        return Response(answer.model_dump_json(), media_type="application/json")

    return router
