"""The routes; each reads as its contract."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from presagio.machine.spec import MachineSpec
from presagio.pages import card_title, page, sections
from presagio.serving.champion import Champion
from presagio.serving.contract import (
    ModelDescription,
    PredictRequest,
    PredictResponse,
    Problem,
    Readiness,
    schema_reference,
)
from presagio.serving.problems import read_body


def _champion(request: Request) -> Champion:
    champion: Champion = request.app.state.champion
    return champion


ServedChampion = Annotated[Champion, Depends(_champion)]

PROBLEM: dict[int | str, dict[str, Any]] = {
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
        return _readiness(champion)

    return router


def _readiness(champion: Champion) -> Readiness:
    served = champion.served
    return Readiness(
        status="ready",
        model=served.model,
        version=served.version,
        source=served.source,
        degraded=served.degraded,
        reason=champion.reason,
    )


def model_router() -> APIRouter:
    """Routes on the model that answers."""
    router = APIRouter(tags=["model"])

    @router.get("/model")
    async def model(champion: ServedChampion) -> ModelDescription:
        """Say which model answers, what it was made of and how good it is."""
        served = champion.served
        artifact = served.predictor.artifact
        return ModelDescription(
            model=served.model,
            version=served.version,
            degraded=served.degraded,
            digest=artifact.digest,
            threshold=artifact.manifest.threshold,
            card=artifact.card,
        )

    @router.get("/model/card", response_class=HTMLResponse)
    async def card(champion: ServedChampion) -> HTMLResponse:
        """Show the model card of the model that answers, as a page."""
        found = champion.served.predictor.artifact.card
        return HTMLResponse(page(card_title(found), sections(found)))

    @router.post("/model/reload")
    async def reload(champion: ServedChampion) -> Readiness:
        """Look at the champion's alias now, and say what is served then."""
        # Off the event loop: it may download and load a model.
        await asyncio.to_thread(champion.refresh)
        return _readiness(champion)

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
        return await read_body(request, wanted, spec)

    @router.post(
        "/predict",
        responses={HTTPStatus.OK.value: {"model": PredictResponse}, **PROBLEM},
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
