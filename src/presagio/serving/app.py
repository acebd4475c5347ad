"""The application: a factory that takes settings."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

from presagio import __version__
from presagio.errors import StorageError
from presagio.machine.spec import load_spec
from presagio.serving.champion import Champion, start_following
from presagio.serving.contract import Problem, feedback_model, request_model, schemas_of
from presagio.serving.feedback import feedback_router
from presagio.serving.problems import InvalidRequestError, refuse, unavailable
from presagio.serving.routes import health_router, model_router, predict_router
from presagio.settings import Settings, load_settings


def _openapi(app: FastAPI, *wanted: type[BaseModel]) -> dict[str, Any]:
    """Describe the API; some routes read their bytes themselves, so their schemas are added."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= schemas_of(*wanted, Problem)
    return document


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the API.

    Parameters
    ----------
    settings
        Read from the environment when not given, as uvicorn's factory option needs it.
    """
    settings = settings or load_settings()
    spec = load_spec(settings.machine_spec)
    wanted = request_model(spec)
    outcomes = feedback_model(spec, wanted)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        def open_registry() -> Any:
            from presagio.registry.recording import open_registry as open_it  # noqa: PLC0415 - takes seconds

            return open_it(settings)

        app.state.champion = Champion(settings, spec, open_registry)
        following = await start_following(app.state.champion)
        yield
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following

    # With its own copy of Swagger UI: a factory's network may not reach the usual one.
    app = FastAPIOffline(
        title="Presagio",
        version=__version__,
        description=f"Predicts failures of: {spec.title}.",
        lifespan=lifespan,
    )
    app.add_exception_handler(InvalidRequestError, refuse)
    app.add_exception_handler(StorageError, unavailable)
    app.include_router(health_router())
    app.include_router(predict_router(spec, wanted))
    app.include_router(model_router())
    app.include_router(feedback_router(spec, outcomes, settings))
    document = _openapi(app, wanted, outcomes)
    app.openapi = lambda: document  # type: ignore[method-assign]
    return app
