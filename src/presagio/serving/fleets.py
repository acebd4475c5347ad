"""The fleets that this process serves: those of the settings, and those added while it runs."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from presagio.errors import InvalidSpecError, StorageError
from presagio.fleet import Fleet, FleetFault, load_fleets
from presagio.serving.champion.board import Board
from presagio.serving.champion.following import Follower
from presagio.serving.champion.holder import Champion
from presagio.serving.http.edge import Asgi, Direct
from presagio.settings import FLEET_ROUTES, Settings

if TYPE_CHECKING:
    from presagio.storage.objects import ObjectStore

_log = logging.getLogger(__name__)
_INSTALL_S = 60.0
# Fleets change more seldom than champions; whoever adds one wakes all workers.
_SELDOM = 3
# Requests that are being answered when their fleet is removed are kept as all others are.
_LAST_ANSWERS_S = 1.0


class Service(Protocol):
    """One fleet as this process serves it."""

    fleet: Fleet
    board: Board
    champion: Champion
    # None for the default fleet, whose routes are those of the API itself.
    app: Asgi | None

    @property
    def predictions(self) -> Direct:
        """The route that predicts one reading."""
        ...

    async def start(self) -> None:
        """Start to follow the champion."""
        ...

    async def stop_following(self) -> None:
        """Follow the champion no more."""
        ...

    async def close(self, *, leaves: bool) -> None:
        """Write what waits; ``leaves`` says whether the process serves the fleet no more."""
        ...


ServiceT = TypeVar("ServiceT", bound=Service)


class ServedFleets(Generic[ServiceT]):
    """Holds what each fleet is served with, and follows which fleets there are.

    Parameters
    ----------
    settings
        Which fleets are there from the start, and how often the store is asked for others.
    make
        Makes the service of a fleet.
    board
        Where this process says which fleets it knows, and is woken to look.

    Attributes
    ----------
    services
        By the fleet's name, the default one first.
    faults
        Why fleets are not served, by name.
    direct
        Their routes that are called without the application's router.
    asked
        Whether the store has said which fleets were added.
    """

    def __init__(self, settings: Settings, make: Callable[[Fleet], ServiceT], board: Board) -> None:
        self._settings, self._make, self._board = settings, make, board
        self._store: ObjectStore | None = None
        self._etags: dict[str, str] = {}
        self._reported = ""
        self.services: dict[str, ServiceT] = {}
        self.direct: dict[tuple[str, str], Direct] = {}
        self.asked = False
        named = load_fleets(settings)
        self.faults = {fault.name: fault for fault in named.faults}
        for fault in named.faults:
            _log.error("fleet %s is not served: %s", fault.name, fault.message)
        for fleet in named.by_name.values():
            self._place(make(fleet))
        self._named = frozenset(self.services)
        poll_s = settings.registry_poll_s * _SELDOM
        self._follower = Follower(self.look, lambda: None, board, poll_s)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def default(self) -> ServiceT | None:
        """The default fleet's service; None where its spec is at fault."""
        return next((one for one in self.services.values() if one.fleet.is_default), None)

    def boards(self) -> dict[str, Board]:
        """Return the board of each fleet's workers."""
        return {name: service.board for name, service in self.services.items()}

    def wake(self) -> None:
        """Have the champions of all fleets looked at soon."""
        for service in self.services.values():
            service.champion.wake()

    def _place(self, service: ServiceT) -> None:
        name, route = service.fleet.name, service.fleet.settings.fleet_route
        self.services[name] = service
        for prefix in {route, f"{FLEET_ROUTES}{name}"}:
            self.direct["POST", f"{prefix}/predict"] = service.predictions

    async def start(self) -> None:
        """Start all services, and to follow which fleets there are."""
        self._loop = asyncio.get_running_loop()
        for service in self.services.values():
            await service.start()
        self._task = asyncio.create_task(self._follower.run(), name="follow-fleets")

    async def close(self) -> None:
        """End all of it; what waits to be kept is written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for service in self.services.values():
            await service.stop_following()
        await asyncio.gather(*(one.close(leaves=True) for one in self.services.values()))
        self._board.leave()

    async def look_everywhere(self, limit_s: float) -> bool:
        """Have every worker look which fleets there are; say whether all have, within a limit."""
        began = time.time()
        self._follower.wake()
        return await self._board.wait_looked(began, limit_s)

    def look(self) -> None:
        """Look once which fleets there are; in a thread."""
        began = time.time()
        try:
            self._look()
        except StorageError as err:
            # Those that are served go on; said once, and not each time.
            if self._reported != str(err):
                self._reported = str(err)
                _log.warning("it is not known now which fleets were added: %s", err)
            return
        self._reported, self.asked = "", True
        self._board.post(looked=began, finished=time.time())

    def _opened_store(self) -> "ObjectStore":
        if self._store is None:
            from presagio.storage.objects import open_store  # noqa: PLC0415 - takes 0.4 s

            self._store = open_store(self._settings)
        return self._store

    def _look(self) -> None:
        from presagio.storage.fleets import added_specs  # noqa: PLC0415 - an S3 client

        added, _ = added_specs(self._settings, self._opened_store())
        wanted = {name: etag for name, etag in added.items() if name not in self._named}
        for name in [name for name in self._etags if name not in wanted]:
            self._on_loop(self._drop(name))
            del self._etags[name]
        for name in [name for name, etag in wanted.items() if self._etags.get(name) != etag]:
            if self._take(name):
                self._etags[name] = wanted[name]

    def _take(self, name: str) -> bool:
        """Serve what was added under a name; say whether that is settled, for better or worse."""
        from presagio.storage.fleets import read_added  # noqa: PLC0415 - an S3 client

        before = self.services.get(name)
        try:
            fleet = read_added(self._settings, self._opened_store(), name)
            if fleet is None:
                return False
            if before is not None:
                self._on_loop(before.stop_following())
            self._on_loop(self._put(self._make(fleet)))
        except StorageError:
            raise
        except InvalidSpecError as err:
            self._fail(name, str(err))
            return True
        except Exception as err:  # noqa: BLE001 - see below
            # One fleet's fault, whatever it is, keeps no other from being served; tried again.
            _log.exception("fleet %s cannot be served", name)
            self._fail(name, f"it cannot be served: {type(err).__name__}")
            return False
        self.faults.pop(name, None)
        return True

    def _fail(self, name: str, message: str) -> None:
        from presagio.storage.fleets import place_of  # noqa: PLC0415 - an S3 client

        fault = FleetFault(name, place_of(self._settings, name), message)
        if self.faults.get(name) != fault:
            self.faults[name] = fault
            _log.error("fleet %s is not served as it should be: %s", name, message)

    def _on_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            raise RuntimeError("fleets are followed on a running event loop only")
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_INSTALL_S)

    async def _put(self, service: ServiceT) -> None:
        before = self.services.get(service.fleet.name)
        await service.start()
        self._place(service)
        _log.info("fleet %s is served, from %s", service.fleet.name, service.fleet.source)
        if before is not None:
            await self._end(before, leaves=False)

    async def _drop(self, name: str) -> None:
        self.faults.pop(name, None)
        service = self.services.pop(name, None)
        if service is None:
            return
        self.direct.pop(("POST", f"{service.fleet.settings.fleet_route}/predict"), None)
        _log.info("fleet %s is served no more", name)
        await service.stop_following()
        await self._end(service, leaves=True)

    async def _end(self, service: Service, *, leaves: bool) -> None:
        await asyncio.sleep(_LAST_ANSWERS_S)
        await service.close(leaves=leaves)
