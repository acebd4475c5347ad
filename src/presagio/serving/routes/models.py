"""Routes on models: the one that answers, all that there are, and a look for a new champion."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Security
from fastapi.responses import HTMLResponse

from presagio.pages.model_card import card_page
from presagio.serving.auth.authorization import admitted
from presagio.serving.champion.board import Board
from presagio.serving.champion.holder import Champion
from presagio.serving.executors import Executor
from presagio.serving.http import bodies
from presagio.serving.http.answers import (
    AgreedChampion,
    ModelDescription,
    ModelVersion,
    ModelVersions,
    Reloaded,
    ReplicasState,
    ReplicaState,
    WorkerState,
)
from presagio.serving.http.problems import RefusedError, problems
from presagio.settings import Settings

if TYPE_CHECKING:
    from presagio.registry.versions import ListedVersion

_RELOAD_LIMIT_S = 15.0
# How old a webhook's signature may be: one that was overheard is of no use later.
_FRESH_S = 300.0


def _states(board: Board) -> list[WorkerState]:
    return [
        WorkerState(
            pid=worker.pid, model=worker.model, version=worker.version,
            degraded=worker.degraded, reason=worker.reason,
        )
        for worker in board.workers()
    ]  # fmt: skip


def _replicas(board: Board) -> ReplicasState | None:
    seat = board.seat
    if seat is None:
        return None
    agreed, replicas = seat.known_agreed, seat.replicas
    champion = None
    if agreed is not None:
        at = datetime.fromtimestamp(agreed.at, UTC).isoformat()
        champion = AgreedChampion(model=agreed.version.name, version=agreed.version.version, at=at)
    return ReplicasState(
        replica=replicas.name,
        reason=replicas.reason,
        agreed=champion,
        processes=[
            ReplicaState(
                replica=state.replica, pid=state.pid, model=state.model, version=state.version,
                degraded=state.degraded, reason=state.reason,
                behind=agreed is not None and state.serves != agreed.names,
            )
            for state in seat.states
        ],
    )  # fmt: skip


def _listing(settings: Settings, limit: int) -> "list[ListedVersion]":
    from presagio.registry.reader import open_reader  # noqa: PLC0415 - an HTTP client

    return open_reader(settings).listing(limit=limit)


def model_router(
    champion: Champion, board: Board, settings: Settings, registry: Executor
) -> APIRouter:
    """Make the routes on models."""
    router = APIRouter(tags=["model"])

    @router.get("/model", dependencies=[Security(admitted)])
    async def model() -> ModelDescription:
        """Say which model answers, what it was made of, how good it is, what each worker has."""
        served = champion.served
        artifact = served.predictor.artifact
        return ModelDescription(
            model=served.model,
            version=served.version,
            degraded=served.degraded,
            digest=artifact.digest,
            threshold=artifact.manifest.threshold,
            workers=_states(board),
            replicas=_replicas(board),
            card=artifact.card,
        )

    @router.get("/model/card", response_class=HTMLResponse, dependencies=[Security(admitted)])
    async def card() -> HTMLResponse:
        """Show the model card of the model that answers, as a page."""
        return HTMLResponse(card_page(champion.served.predictor.artifact.card))

    @router.get(
        "/models",
        dependencies=[Security(admitted)],
        responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def models(
        limit: Annotated[int, Query(ge=1, le=100, description="How many of the newest.")] = 20,
    ) -> ModelVersions:
        """List the newest versions in the registry."""
        listed = await registry.run(_listing, settings, limit)
        versions = [
            ModelVersion(
                version=one.version.version,
                aliases=list(one.aliases),
                trained=one.created_at.isoformat(),
                digest=one.version.digest,
                figures={k: v for k, v in one.metrics.items() if k.startswith("test_")},
            )
            for one in listed
        ]
        return ModelVersions(model=settings.model_name, versions=versions)

    @router.post("/model/reload", dependencies=[Security(admitted, scopes=["admin"])])
    async def reload() -> Reloaded:
        """Have all workers look at the champion's alias now, and say what is served then."""
        all_looked = await champion.look_everywhere(_RELOAD_LIMIT_S)
        return Reloaded(
            **champion.summary,
            reason=champion.reason
            if all_looked
            else f"not all workers have looked at the registry within {_RELOAD_LIMIT_S:g} s",
            workers=_states(board),
            replicas=_replicas(board),
        )

    return router


def _signed(secret: str, request: Request, raw: bytes) -> bool:
    """Say whether MLflow signed this: ``v1,`` and base64 of HMAC-SHA256 of ``ID.TIME.BODY``."""
    headers = request.headers
    sent, moment = headers.get("x-mlflow-delivery-id", ""), headers.get("x-mlflow-timestamp", "")
    if not moment.isdecimal() or abs(time.time() - int(moment[:15])) > _FRESH_S:
        return False
    content = f"{sent}.{moment}.".encode("latin-1") + raw
    wanted = base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()
    signature = headers.get("x-mlflow-signature", "")
    return hmac.compare_digest(signature.encode("latin-1"), f"v1,{wanted}".encode())


def webhook_router(wake: Callable[[], None], settings: Settings) -> APIRouter:
    """Make the route that MLflow's webhook calls.

    Parameters
    ----------
    wake
        Has every fleet's alias looked at soon.
    settings
        The webhook's secret, and how large its body may be.
    """
    router = APIRouter(tags=["model"])
    secret = settings.mlflow_webhook_secret

    @router.post(
        "/model/webhook",
        status_code=HTTPStatus.ACCEPTED,
        responses=problems(
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ),
    )
    async def webhook(request: Request) -> dict[str, str]:
        """Look at the champion's alias soon: MLflow says that something has changed.

        What it says is not believed; it wakes the look at the registry, no more.
        """
        raw = await bodies.read_bytes(request.scope, request.receive, settings.api_open_body_bytes)
        if secret is None or not _signed(secret.get_secret_value(), request, raw):
            raise RefusedError(
                HTTPStatus.UNAUTHORIZED, "bad-signature", "The webhook's signature is not good",
                "its secret is PRESAGIO_MLFLOW_WEBHOOK_SECRET, its clock at most 5 minutes off",
            )  # fmt: skip
        # The loop that follows the alias looks; a thousand webhooks make one look more.
        wake()
        return {"status": "woken"}

    return router
