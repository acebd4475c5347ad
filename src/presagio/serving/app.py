"""The application: a factory that takes settings."""

import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from presagio.errors import SettingsError
from presagio.fleet import FleetFault
from presagio.machine.spec import load_spec
from presagio.serving.auth.authorization import Guard, token_router
from presagio.serving.auth.built_in_users import note_built_in_users
from presagio.serving.auth.shared_accounts import import_accounts
from presagio.serving.auth.tokens import OutsideIssuer, open_authority
from presagio.serving.champion.board import open_board
from presagio.serving.champion.replicas import Replicas
from presagio.serving.executors import Executors
from presagio.serving.fleet_service import FleetService, Shared, make_app
from presagio.serving.fleets import ServedFleets
from presagio.serving.http import draining
from presagio.serving.http.answers import Readiness
from presagio.serving.http.at_once import AT_ONCE_KEY
from presagio.serving.http.edge import Asgi, Edge
from presagio.serving.http.open_connections import STATE_KEY, OpenConnections
from presagio.serving.http.problems import RefusedError
from presagio.serving.prometheus import ApiMetrics
from presagio.serving.routes.fleets import FleetPaths, fleets_router
from presagio.serving.routes.health import health_router, metrics_router
from presagio.serving.routes.models import webhook_router
from presagio.serving.routes.protocol_v2 import Inference, v2_router
from presagio.serving.routes.tensors import InferenceRequest
from presagio.serving.shared.database import database_address, open_shared_database
from presagio.settings import Settings, load_settings

_log = logging.getLogger(__name__)


def _outside_issuer(settings: Settings) -> OutsideIssuer | None:
    if settings.oidc_issuer is None:
        return None
    from presagio.serving.issuers import OidcIssuer  # noqa: PLC0415 - an HTTP client

    return OidcIssuer(settings.oidc_issuer, settings.oidc_audience)


def _make_shared(settings: Settings, *, owns_process: bool) -> Shared:
    authority = open_authority(settings, _outside_issuer(settings))
    executors, tokens = Executors(settings.api_max_concurrency), None
    database = open_shared_database(settings)
    if authority is not None:
        # One for all fleets: wrong passwords are counted together.
        tokens = token_router(settings, authority, executors, database)
    address, replicas = database_address(settings), None
    if address is not None:
        replicas = Replicas(address, settings.replica or socket.gethostname())
    return Shared(
        settings,
        ApiMetrics(),
        Guard(authority),
        executors,
        tokens,
        owns_process,
        database,
        replicas,
    )


def _lifespan(shared: Shared, fleets: ServedFleets[FleetService], state: dict[str, Any]) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        if shared.guard.authority is None:
            _log.warning("PRESAGIO_AUTH is off: everybody who reaches this API may ask everything")
        if shared.database is not None:
            # Connects too, in threads: nothing waits for them.
            executors = shared.executors
            executors.sign_ins.start(import_accounts, shared.settings, shared.database)
            if shared.guard.authority is not None:
                executors.passwords.start(note_built_in_users, shared.settings, shared.database)
        replicas = shared.replicas
        if replicas is not None:
            replicas.start()
        await fleets.start()
        with draining.drain_first(shared.settings.api_drain_seconds):
            yield {STATE_KEY: OpenConnections(shared.settings), **state}
        await fleets.close()
        if replicas is not None:
            # It waits a moment at most, and the loop has nothing else to do any more.
            replicas.close()
        shared.executors.close()
        if shared.database is not None:
            shared.database.close()

    return lifespan


def _bad_spec(fault: FleetFault) -> RefusedError:
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE, "bad-spec", "The default fleet is not served",
        fault.message,
    )  # fmt: skip


def _without_default(fault: FleetFault, settings: Settings) -> tuple[APIRouter, APIRouter]:
    """Return what stands in for the default fleet's routes where its machine spec is at fault."""
    ready = Readiness(
        status="ready", model="none", version="", source="none", degraded=True,
        reason=fault.message, auth=settings.auth,
    )  # fmt: skip
    rest = APIRouter()

    @rest.api_route("/{path:path}", methods=["GET", "POST"], include_in_schema=False)
    async def refused() -> None:
        raise _bad_spec(fault)

    return health_router(lambda: ready), rest


def _root(shared: Shared, fleets: ServedFleets[FleetService], state: dict[str, Any]) -> FastAPI:
    """Make the application of what is not one fleet's own, and of the default fleet."""
    settings, executors = shared.settings, shared.executors
    default = fleets.default

    def inferences() -> list[Inference]:
        return [service.inference for service in fleets.services.values()]

    common = [
        fleets_router(fleets, settings, executors.registry),
        webhook_router(fleets.wake, settings),
        metrics_router(shared.metrics, fleets.boards, executors.metrics, shared.replicas),
    ]
    lifespan = _lifespan(shared, fleets, state)
    if default is not None:
        v2 = v2_router(inferences, default.check_ready)
        return make_app(
            shared, default.fleet.spec, [*default.routers, *common, v2],
            [*default.schemas, InferenceRequest], lifespan=lifespan,
            description=f"Predicts failures of: {default.fleet.spec.title}.",
        )  # fmt: skip
    fault = next(f for f in fleets.faults.values() if f.source == settings.machine_spec)
    health, rest = _without_default(fault, settings)
    v2 = v2_router(inferences, lambda: None)
    return make_app(
        shared, load_spec(), [health, *common, v2, rest], [InferenceRequest], lifespan=lifespan,
        description="Predicts failures; the default fleet is not served.",
    )  # fmt: skip


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
    settings = settings or load_settings()
    shared = _make_shared(settings, owns_process=owns_process)
    board = open_board("fleets", shared.replicas, "fleets")
    fleets = ServedFleets(settings, lambda fleet: FleetService(fleet, shared), board)
    state: dict[str, Any] = {}
    app = FleetPaths(_root(shared, fleets, state), fleets, shared.guard)
    replica = settings.replica if shared.replicas is None else shared.replicas.name
    direct = Edge(app, fleets.direct, settings, shared.metrics, replica)
    if settings.otlp_endpoint is None and not settings.cors_origins:
        # What is wrapped around the edge has to see each request.
        state[AT_ONCE_KEY] = direct.at_once
    edge: Asgi = direct
    if settings.otlp_endpoint is not None:
        edge = _traced(edge, settings.otlp_endpoint)
    if settings.cors_origins:
        return CORSMiddleware(
            edge, allow_origins=settings.cors_origins, allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
            expose_headers=["x-request-id", "x-presagio-replica"],
        )  # fmt: skip
    return edge
