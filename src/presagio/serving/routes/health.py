"""Routes that say how the service is, and its metrics."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response, Security

from presagio.serving import prometheus
from presagio.serving.auth.authorization import admitted
from presagio.serving.champion.board import Board
from presagio.serving.champion.holder import Champion
from presagio.serving.champion.replicas import Replicas
from presagio.serving.champion.worker_metrics import ReplicaCollector, WorkerCollector
from presagio.serving.executors import Executor
from presagio.serving.http import draining
from presagio.serving.http.answers import Readiness
from presagio.serving.http.problems import RefusedError, problems
from presagio.serving.prometheus import ApiMetrics
from presagio.serving.warmup import Warmup
from presagio.settings import Settings

if TYPE_CHECKING:
    from prometheus_client.registry import Collector


def check_ready(champion: Champion, warmup: Warmup) -> None:
    """Check that it is known what to serve, and that the first answers are as fast as all others.

    Raises
    ------
    RefusedError
        503, if not.
    """
    if not champion.settled:
        raise RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "starting", "The API is starting",
            "the registry has not said yet which model is the champion",
            headers={"Retry-After": "1"},
        )  # fmt: skip
    if draining.is_draining():
        raise RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "draining", "This replica stops soon",
            "it answers what it is asked, but should be asked no more",
        )  # fmt: skip
    if champion.behind:
        raise RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "behind", "This replica serves an older champion",
            champion.reason or "the others serve the one that was agreed on",
            headers={"Retry-After": "1"},
        )  # fmt: skip
    if not warmup.done:
        raise RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "warming-up", "The API is warming up",
            "it answers, but slowly as yet", headers={"Retry-After": "1"},
        )  # fmt: skip


def readiness_of(
    champion: Champion, settings: Settings, replicas: Replicas | None = None
) -> Readiness:
    """Say which model answers, and whether it is the champion."""
    served = champion.current
    return Readiness(
        status="ready",
        **champion.summary,
        source=served.source if served else "none",
        reason=champion.reason,
        auth=settings.auth,
        replica=settings.replica or None if replicas is None else replicas.name,
        replicas_reason=None if replicas is None else replicas.reason,
    )


def health_router(readiness: Callable[[], Readiness]) -> APIRouter:
    """Make the routes that need no token.

    Parameters
    ----------
    readiness
        Says which model answers, or refuses while that is not known.
    """
    router = APIRouter(tags=["health"])

    @router.get("/")
    async def root() -> dict[str, str]:
        """Say that the API is there."""
        return {"message": "Presagio predicts machine failures. See /docs."}

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "live"}

    @router.get("/health/ready", responses=problems(HTTPStatus.SERVICE_UNAVAILABLE))
    async def ready() -> Readiness:
        """Say which model answers, and whether it is the champion."""
        return readiness()

    return router


def metrics_router(
    metrics: ApiMetrics, boards: Callable[[], Mapping[str, Board]], executor: Executor,
    replicas: Replicas | None,
) -> APIRouter:  # fmt: skip
    """Make the route that Prometheus reads."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", dependencies=[Security(admitted)], response_class=Response)
    async def metrics_of_all() -> Response:
        """Give the metrics of all workers, in Prometheus's text format."""
        # It reads a file of each worker.
        collectors: list[Collector] = [WorkerCollector(boards)]
        if replicas is not None:
            collectors.append(ReplicaCollector(boards, replicas))
        text = await executor.run(metrics.exposition, *collectors)
        return Response(text, media_type=prometheus.CONTENT_TYPE)

    return router
