"""One fleet as this process serves it: its champion, its routes, and where its answers are kept."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from presagio import __version__
from presagio.errors import RegistryError, StorageError
from presagio.fleet import Fleet
from presagio.machine.spec import MachineSpec
from presagio.serving.auth.authorization import Guard
from presagio.serving.auth.sign_in import browser_page
from presagio.serving.bookkeeping import Bookkeeping
from presagio.serving.champion.agreement import topic_of
from presagio.serving.champion.board import open_board
from presagio.serving.champion.holder import Champion
from presagio.serving.champion.replicas import Replicas
from presagio.serving.executors import Executors
from presagio.serving.first_steps import freeze_what_stays, import_what_waits, verify_a_token
from presagio.serving.http import problems
from presagio.serving.http.answers import Problem, Readiness
from presagio.serving.http.openapi import schemas_of
from presagio.serving.prometheus import ApiMetrics
from presagio.serving.recording import Recorder
from presagio.serving.routes.batch import Batches, batch_router
from presagio.serving.routes.events import events_model, events_router
from presagio.serving.routes.feedback import feedback_router
from presagio.serving.routes.health import check_ready, health_router, readiness_of
from presagio.serving.routes.models import model_router
from presagio.serving.routes.predictions import Predictions, predict_router
from presagio.serving.routes.protocol_v2 import Inference
from presagio.serving.routes.requests import feedback_model, request_model
from presagio.serving.shared.database import Database
from presagio.serving.shared.once import Once
from presagio.serving.warmup import Warmup
from presagio.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from presagio.serving.http.edge import Asgi


@dataclass(frozen=True)
class Shared:
    """What the fleets share, made once a process.

    Attributes
    ----------
    tokens
        The route that gives tokens out; None where none are asked for.
    owns_process
        Whether nothing but the API runs in the process.
    database
        What replicas share is there; None where there is one replica.
    replicas
        All replicas of the API; None where there is one.
    """

    settings: Settings
    metrics: ApiMetrics
    guard: Guard
    executors: Executors
    tokens: APIRouter | None
    owns_process: bool
    database: Database | None = None
    replicas: Replicas | None = None


def make_app(
    shared: Shared, spec: MachineSpec, routers: list[APIRouter], schemas: list[type[BaseModel]],
    **about: Any,
) -> FastAPI:  # fmt: skip
    """Make an application of routes, with what belongs to every one.

    Parameters
    ----------
    shared
        Who may ask, and where refusals are counted.
    spec
        The machine spec that requests are checked against.
    routers
        The routes.
    schemas
        What requests are read as by routes that read their bytes themselves.
    about
        Arguments of the framework: description, lifespan, servers.
    """
    # With its own copy of Swagger UI: a factory's network may not reach the usual one.
    app = FastAPIOffline(**{"title": "Presagio", "version": __version__} | about)
    app.state.guard = shared.guard
    handlers = problems.Handlers(shared.metrics.refused, spec, browser_page)
    for kind in (problems.RefusedError, StorageError, RegistryError, HTTPException,
                 RequestValidationError, Exception):  # fmt: skip
        app.add_exception_handler(kind, handlers.answer)
    if shared.tokens is not None:
        routers = [routers[0], shared.tokens, *routers[1:]]
    for router in routers:
        app.include_router(router)
    app.openapi = cache(lambda: _openapi(app, *schemas))  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI, *wanted: type[BaseModel]) -> dict[str, Any]:
    """Describe the API; some routes read their bytes themselves, so their schemas are added."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes,
        servers=app.servers,
    )  # fmt: skip
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= schemas_of(*wanted, Problem)
    for path in document["paths"].values():
        for operation in path.values():
            if "security" in operation:
                both = problems.problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
                operation["responses"] |= {str(status): about for status, about in both.items()}
    return document


class FleetService:
    """Everything that is a fleet's own.

    Attributes
    ----------
    schemas
        What its requests are read as.
    app
        Its application; None for the default fleet, whose routes are those of the API itself.
    """

    def __init__(self, fleet: Fleet, shared: Shared) -> None:
        settings, spec = fleet.settings, fleet.spec
        self.fleet, self._shared = fleet, shared
        self.board = open_board(
            "" if fleet.is_default else f"fleet-{fleet.name}",
            shared.replicas, topic_of(settings.model_name),
        )  # fmt: skip
        metrics = shared.metrics.of(fleet.name)

        def reader() -> Any:
            # Off the event loop, and after the first answers: an HTTP client takes its time.
            from presagio.registry.reader import open_reader  # noqa: PLC0415

            return open_reader(settings)

        self.champion = Champion(settings, spec, reader, self.board, metrics)
        self._books = Bookkeeping(metrics, Recorder(settings, spec, metrics))
        wanted = request_model(spec)
        outcomes = feedback_model(spec, wanted)
        self.schemas: list[type[BaseModel]] = [wanted, outcomes]
        self.predictions = Predictions(
            spec, wanted, settings, shared.guard, self.champion, self._books,
            shared.executors.explanations,
        )  # fmt: skip
        self.inference = Inference(spec, settings, self.champion, self._books)
        self._warmup = self._make_warmup()
        self._tasks: list[asyncio.Task[None]] = []
        executors, once = shared.executors, Once(shared.database)
        self.routers = [
            health_router(self.readiness),
            predict_router(spec, self.predictions),
            batch_router(Batches(spec, settings, self.champion, self._books, executors.files)),
            model_router(self.champion, self.board, settings, executors.registry),
            feedback_router(spec, outcomes, settings, self.champion, executors.outcomes, once),
        ]
        if spec.is_series:
            logged = events_model(spec)
            self.schemas.append(logged)
            self.routers.append(events_router(spec, logged, settings, executors.outcomes, once))
        self.app: Asgi | None = None
        if not fleet.is_default:
            self.app = make_app(
                shared, spec, self.routers, self.schemas, title=f"Presagio: {fleet.name}",
                description=f"Predicts failures of: {spec.title}.",
                servers=[{"url": settings.fleet_route}],
            )  # fmt: skip

    def check_ready(self) -> None:
        """Refuse while it is not known what is served, or the first answers would be slow."""
        check_ready(self.champion, self._warmup)

    def readiness(self) -> Readiness:
        """Say which model answers; refused as long as :meth:`check_ready` refuses."""
        self.check_ready()
        return readiness_of(self.champion, self.fleet.settings, self._shared.replicas)

    def _make_warmup(self) -> Warmup:
        recorder, authority = self._books.recorder, self._shared.guard.authority
        steps: list[Callable[[], object]] = [
            self.predictions.rehearse, lambda: recorder.prepare(self.champion.served),
        ]  # fmt: skip
        if self.fleet.is_default:
            steps.insert(0, import_what_waits)
            if authority is not None:
                steps.append(partial(verify_a_token, authority))
            if self._shared.owns_process:
                steps.append(freeze_what_stays)
        return Warmup(*steps, remote=recorder.connect)

    async def start(self) -> None:
        """Start to follow the champion, and to warm up."""
        following = await self.champion.start()
        warming = asyncio.create_task(self._warmup.run(), name="warm-up")
        self._tasks = [warming, following]
        if any(worker.pid != os.getpid() for worker in self.board.workers()):
            # They answer meanwhile; requests come to this worker when it is warm.
            await warming

    async def stop_following(self) -> None:
        """Follow the champion no more; what is served goes on being served."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def close(self, *, leaves: bool) -> None:
        """Write what waits to be kept.

        Parameters
        ----------
        leaves
            Whether this process serves the fleet no more; else another service of it is there.
        """
        await self._shared.executors.outcomes.resume(self._books.recorder.close)
        if leaves:
            self.board.leave()
