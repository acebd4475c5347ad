"""Routes on fleets: which there are, one more, one less; and the way to each fleet's own routes."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Request, Security

from presagio.errors import DataError, InvalidSpecError, NotFoundError
from presagio.fleet import LARGEST_SPEC
from presagio.serving.auth.authorization import Guard, admitted
from presagio.serving.executors import Executor
from presagio.serving.fleets import ServedFleets, Service
from presagio.serving.http import bodies
from presagio.serving.http.answers import (
    FieldFault,
    FleetAtFault,
    FleetList,
    FleetState,
    RemovedFleet,
)
from presagio.serving.http.connections import split_path
from presagio.serving.http.edge import Asgi, Send
from presagio.serving.http.problems import RefusedError, problems, shown
from presagio.settings import FLEET_ROUTES, Settings

T = TypeVar("T")
# Each has a model and routes in memory, 4 MiB or so.
_MOST_FLEETS = 200
_LOOK_LIMIT_S = 20.0
_Name = Annotated[str, Path(max_length=100, description="The fleet's name.")]


def _state(service: Service) -> FleetState:
    fleet, champion = service.fleet, service.champion
    return FleetState(
        name=fleet.name,
        title=fleet.spec.title,
        default=fleet.is_default,
        route=f"{FLEET_ROUTES}{fleet.name}",
        registered_model=fleet.settings.model_name,
        source=fleet.source,
        spec_sha256=fleet.spec.digest,
        **champion.summary,
        reason=champion.remedy if champion.current is None else champion.reason,
    )


def _unknown(name: str, fleets: ServedFleets[Any]) -> RefusedError:
    """Return the refusal of a fleet that is not served."""
    fault = fleets.faults.get(name)
    if fault is not None:
        return RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "bad-spec", "The fleet's machine spec is at fault",
            fault.message,
        )  # fmt: skip
    if not fleets.asked:
        return RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "fleets-unknown", "It is not known which fleets exist",
            f"fleet {name[:80]!r} is none that the settings name, and the object store has not "
            "said yet which were added; ask again later",
            headers={"Retry-After": "5"},
        )  # fmt: skip
    return RefusedError(
        HTTPStatus.NOT_FOUND, "no-such-fleet", "There is no such fleet",
        f"there is no fleet {name[:80]!r}; there are: {', '.join(fleets.services)}",
    )  # fmt: skip


class FleetPaths:
    """Sends requests below ``/fleets/NAME/`` to the application of that fleet; plain ASGI."""

    def __init__(self, root: Asgi, fleets: ServedFleets[Any], guard: Guard) -> None:
        self._root, self._fleets, self._guard = root, fleets, guard

    async def __call__(self, scope: bodies.Scope, receive: bodies.Receive, send: Send) -> None:
        """Answer as ASGI.

        Raises
        ------
        RefusedError
            If there is no such fleet; who may ask nothing is not told which there are.
        """
        app = self._root
        name = split_path(scope["path"])[0] if scope["type"] == "http" else None
        if name is not None:
            service = self._fleets.services.get(name)
            if service is None:
                await self._guard.admit(scope, None)
                raise _unknown(name, self._fleets)
            scope["root_path"] = f"{scope.get('root_path', '')}{FLEET_ROUTES}{name}"
            app = service.app or self._root
        await app(scope, receive, send)


def _translated(change: Callable[[], T]) -> T:
    try:
        return change()
    except InvalidSpecError as err:
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "bad-spec", "The machine spec is at fault",
            str(err), faults=[_fault(str(fault)) for fault in err.faults],
        ) from err  # fmt: skip
    except NotFoundError as err:
        raise RefusedError(
            HTTPStatus.NOT_FOUND, "no-such-fleet", "There is no such fleet", str(err)
        ) from err
    except DataError as err:
        raise RefusedError(
            HTTPStatus.CONFLICT, "fleet-conflict", "The fleet cannot be changed here", str(err)
        ) from err


def _fault(text: str) -> FieldFault:
    return FieldFault(field="spec", got=shown(text)[1:-1], allowed="a valid machine spec")


def _add(settings: Settings, text: bytes) -> str:
    from presagio.storage.fleets import add_fleet  # noqa: PLC0415 - an S3 client
    from presagio.storage.objects import open_store  # noqa: PLC0415

    store = open_store(settings)
    return _translated(lambda: add_fleet(settings, store, text, "sent").name)


def _remove(settings: Settings, name: str) -> None:
    from presagio.storage.fleets import remove_fleet  # noqa: PLC0415 - an S3 client
    from presagio.storage.objects import open_store  # noqa: PLC0415

    store = open_store(settings)
    _translated(lambda: remove_fleet(settings, store, name))


def fleets_router(fleets: ServedFleets[Any], settings: Settings, executor: Executor) -> APIRouter:
    """Make the routes on fleets."""
    router = APIRouter(tags=["fleets"])
    admin = [Security(admitted, scopes=["admin"])]
    refused = problems(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )  # fmt: skip

    def state(name: str) -> FleetState:
        service = fleets.services.get(name)
        if service is None:
            raise _unknown(name, fleets)
        return _state(service)

    @router.get("/fleets", dependencies=[Security(admitted)])
    async def list_fleets() -> FleetList:
        """List the fleets, the default one first, and what is wrong with those at fault."""
        return FleetList(
            fleets=[_state(service) for service in fleets.services.values()],
            faults=[
                FleetAtFault(name=fault.name, source=fault.source, message=fault.message)
                for fault in fleets.faults.values()
            ],
        )

    @router.get("/fleets/{name}", dependencies=[Security(admitted)], responses=refused)
    async def one_fleet(name: _Name) -> FleetState:
        """Say which model answers for a fleet."""
        return state(name)

    @router.post(
        "/fleets",
        status_code=HTTPStatus.CREATED,
        dependencies=admin,
        responses=refused | problems(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        openapi_extra={"requestBody": _SPEC},
    )
    async def add_fleet(request: Request) -> FleetState:
        """Serve one more fleet, by its machine spec; or another spec of one that was added.

        It needs no restart: when this answers, every worker knows the fleet.
        """
        text = await bodies.read_bytes(request.scope, request.receive, LARGEST_SPEC)
        if len(fleets.services) >= _MOST_FLEETS:
            raise RefusedError(
                HTTPStatus.CONFLICT, "fleet-conflict", "There are too many fleets",
                f"{_MOST_FLEETS} are served at most; remove one first",
            )  # fmt: skip
        name = await executor.run(_add, settings, text)
        await _look(fleets)
        return state(name)

    @router.delete("/fleets/{name}", dependencies=admin, responses=refused)
    async def remove_fleet(name: _Name) -> RemovedFleet:
        """Serve a fleet no more that was added; its files, curated data and models stay."""
        await executor.run(_remove, settings, name)
        await _look(fleets)
        return RemovedFleet(removed=name)

    return router


async def _look(fleets: ServedFleets[Any]) -> None:
    if not await fleets.look_everywhere(_LOOK_LIMIT_S):
        raise RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Not every worker knows it yet",
            f"it is stored, and not all workers have looked within {_LOOK_LIMIT_S:g} s; they will",
            headers={"Retry-After": "5"},
        )  # fmt: skip


_SPEC = {
    "required": True,
    "description": "A machine spec; `presagio spec draft` writes a first one from data.",
    "content": {"application/toml": {"schema": {"type": "string"}}},
}
