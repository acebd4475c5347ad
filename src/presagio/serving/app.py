"""The application: a factory that takes settings."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from presagio import __version__
from presagio.errors import RegistryError, SettingsError, StorageError
from presagio.machine.spec import MachineSpec, load_spec
from presagio.serving.auth.authorization import Guard, token_router
from presagio.serving.auth.sign_in import browser_page
from presagio.serving.auth.tokens import OutsideIssuer, open_authority
from presagio.serving.bookkeeping import Bookkeeping
from presagio.serving.champion.board import Board, open_board
from presagio.serving.champion.holder import Champion
from presagio.serving.executors import Executors
from presagio.serving.first_steps import freeze_what_stays, import_what_waits, verify_a_token
from presagio.serving.http import problems
from presagio.serving.http.answers import Problem
from presagio.serving.http.at_once import AT_ONCE_KEY
from presagio.serving.http.edge import Asgi, Edge
from presagio.serving.http.open_connections import STATE_KEY, OpenConnections
from presagio.serving.http.openapi import schemas_of
from presagio.serving.prometheus import ApiMetrics
from presagio.serving.recording import Recorder
from presagio.serving.routes.batch import Batches, batch_router
from presagio.serving.routes.feedback import feedback_router
from presagio.serving.routes.health import check_ready, health_router, metrics_router
from presagio.serving.routes.models import model_router, webhook_router
from presagio.serving.routes.predictions import Predictions, predict_router
from presagio.serving.routes.protocol_v2 import Inference, v2_router
from presagio.serving.routes.requests import feedback_model, request_model
from presagio.serving.routes.tensors import InferenceRequest
from presagio.serving.warmup import Warmup
from presagio.settings import Settings, load_settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Shared:
    """What the routes share, made once a process."""

    settings: Settings
    spec: MachineSpec
    board: Board
    metrics: ApiMetrics
    champion: Champion
    books: Bookkeeping
    guard: Guard
    executors: Executors


def _outside_issuer(settings: Settings) -> OutsideIssuer | None:
    if settings.oidc_issuer is None:
        return None
    from presagio.serving.auth.issuers import OidcIssuer  # noqa: PLC0415 - an HTTP client

    return OidcIssuer(settings.oidc_issuer, settings.oidc_audience)


def _make_parts(settings: Settings) -> _Shared:
    spec, board, metrics = load_spec(settings.machine_spec), open_board(), ApiMetrics()
    guard = Guard(open_authority(settings, _outside_issuer(settings)))

    def reader() -> Any:
        # Off the event loop, and after the first answers: an HTTP client takes its time to import.
        from presagio.registry.reader import open_reader  # noqa: PLC0415

        return open_reader(settings)

    champion = Champion(settings, spec, reader, board, metrics)
    return _Shared(
        settings, spec, board, metrics, champion,
        Bookkeeping(metrics, Recorder(settings, spec, metrics)), guard,
        Executors(settings.api_max_concurrency),
    )  # fmt: skip


def _openapi(app: FastAPI, *wanted: type[BaseModel]) -> dict[str, Any]:
    """Describe the API; some routes read their bytes themselves, so their schemas are added."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= schemas_of(*wanted, Problem)
    for path in document["paths"].values():
        for operation in path.values():
            if "security" in operation:
                both = problems.problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
                operation["responses"] |= {str(status): about for status, about in both.items()}
    return document


def _lifespan(parts: _Shared, warmup: Warmup, state: dict[str, Any]) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        if parts.guard.authority is None:
            _log.warning("PRESAGIO_AUTH is off: everybody who reaches this API may ask everything")
        following = await parts.champion.start()
        warming = asyncio.create_task(warmup.run(), name="warm-up")
        if any(worker.pid != os.getpid() for worker in parts.board.workers()):
            # They answer meanwhile; requests come to this worker when it is warm.
            await warming
        yield {STATE_KEY: OpenConnections(parts.settings), **state}
        for task in (warming, following):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await parts.executors.outcomes.resume(parts.books.recorder.close)
        parts.executors.close()
        parts.board.leave()

    return lifespan


def _warmup(parts: _Shared, predictions: Predictions, *, owns_process: bool) -> Warmup:
    recorder = parts.books.recorder
    steps = [
        import_what_waits,
        predictions.rehearse,
        lambda: recorder.prepare(parts.champion.served),
    ]
    if parts.guard.authority is not None:
        steps.append(partial(verify_a_token, parts.guard.authority))
    if owns_process:
        steps.append(freeze_what_stays)
    return Warmup(*steps, remote=recorder.connect)


def _routers(
    parts: _Shared, outcomes: Any, predictions: Predictions, warmup: Warmup
) -> list[APIRouter]:
    settings, spec, champion, board = parts.settings, parts.spec, parts.champion, parts.board
    executors = parts.executors
    ready = partial(check_ready, champion, warmup)
    batches = Batches(spec, settings, champion, parts.books, executors.files)
    routers = [
        health_router(champion, ready, settings),
        predict_router(spec, predictions),
        batch_router(batches),
        model_router(champion, board, settings, executors.registry),
        webhook_router(champion, settings),
        feedback_router(spec, outcomes, settings, champion, executors.outcomes),
        metrics_router(parts.metrics, board, executors.metrics),
        v2_router(Inference(spec, settings, champion, parts.books), ready),
    ]
    if parts.guard.authority is not None:
        routers.insert(1, token_router(settings, parts.guard.authority, executors.passwords))
    return routers


def _traced(app: Asgi, endpoint: str) -> Asgi:
    try:
        from presagio.serving.tracing import Traced  # noqa: PLC0415 - an extra
    except ImportError as err:
        raise SettingsError(
            f"PRESAGIO_OTLP_ENDPOINT is set and {err.name} is missing; install presagio[traces]"
        ) from err
    return Traced(app, endpoint)


def create_app(settings: Settings | None = None, *, owns_process: bool = False) -> Asgi:
    """Build the API.

    Parameters
    ----------
    settings
        Read from the environment when not given, as uvicorn's factory option needs it.
    owns_process
        Whether nothing but this application runs in the process, so that it may set how garbage is
        collected there.

    Raises
    ------
    SettingsError
        If tokens are asked for and there is no key to sign them with.
    """
    parts = _make_parts(settings or load_settings())
    wanted = request_model(parts.spec)
    outcomes = feedback_model(parts.spec, wanted)
    predictions = Predictions(
        parts.spec, wanted, parts.settings, parts.guard, parts.champion, parts.books,
        parts.executors.explanations,
    )  # fmt: skip
    warmup, state = _warmup(parts, predictions, owns_process=owns_process), dict[str, Any]()
    # With its own copy of Swagger UI: a factory's network may not reach the usual one.
    app = FastAPIOffline(
        title="Presagio",
        version=__version__,
        description=f"Predicts failures of: {parts.spec.title}.",
        lifespan=_lifespan(parts, warmup, state),
    )
    app.state.guard = parts.guard
    handlers = problems.Handlers(parts.metrics.refused, parts.spec, browser_page)
    for kind in (problems.RefusedError, StorageError, RegistryError, HTTPException,
                 RequestValidationError, Exception):  # fmt: skip
        app.add_exception_handler(kind, handlers.answer)
    for router in _routers(parts, outcomes, predictions, warmup):
        app.include_router(router)
    app.openapi = cache(lambda: _openapi(app, wanted, outcomes, InferenceRequest))  # type: ignore[method-assign]
    direct = Edge(app, {("POST", "/predict"): predictions}, parts.settings, parts.metrics)
    if parts.settings.otlp_endpoint is None and not parts.settings.cors_origins:
        # What is wrapped around the edge has to see each request.
        state[AT_ONCE_KEY] = direct.at_once
    edge: Asgi = direct
    if parts.settings.otlp_endpoint is not None:
        edge = _traced(edge, parts.settings.otlp_endpoint)
    if parts.settings.cors_origins:
        return CORSMiddleware(
            edge, allow_origins=parts.settings.cors_origins, allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
            expose_headers=["x-request-id"],
        )  # fmt: skip
    return edge
