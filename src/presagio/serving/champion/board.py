"""Workers side by side: each says what it serves, all swap together, one wakes the others.

They say so in a folder that they share. Where the API has replicas, each worker has a seat among
the workers of all replicas too, and swaps with them.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.agreement import Agreed, Moment, State, names_of
from presagio.serving.champion.replicas import Replicas
from presagio.serving.champion.seat import AloneError, Seat
from presagio.serving.champion.workers_folder import Worker, WorkersFolder
from presagio.serving.http.draining import is_draining

_log = logging.getLogger(__name__)
FOLDER_VARIABLE = "PRESAGIO_WORKERS_FOLDER"
_LOOK_S = 0.01
# The others may be loading; one that cannot is left behind.
_TOGETHER_S = 5.0
_ASK_S = 0.05


# Fields of a worker that those of other replicas see too.
_SEEN_FAR = ("model", "version", "degraded", "reason")


class Board:
    """What the workers of one API say; without a folder there is only this one.

    Attributes
    ----------
    seat
        This worker's place among those of all replicas; None where there is one replica only.
    """

    def __init__(self, folder: Path | None, seat: Seat | None = None) -> None:
        self._folder = None if folder is None else WorkersFolder(folder)
        self.seat = seat
        self._posted: Worker | None = None
        self._wakes = 0

    def post(self, *, serves: str | None = None, **changes: object) -> None:
        """Say something new of this worker.

        Parameters
        ----------
        serves
            The version that it serves, as :func:`names_of` names it.
        changes
            Fields of :class:`Worker`.
        """
        self._post_far(serves, changes)
        known: dict[str, object] = {
            "pid": os.getpid(),
            "model": "",
            "version": "",
            "degraded": True,
        }
        before = self._posted
        state = Worker(**known | changes) if before is None else replace(before, **changes)  # type: ignore[arg-type]
        self._posted = state
        if self._folder is not None:
            self._folder.post(state)

    def _post_far(self, serves: str | None, changes: dict[str, object]) -> None:
        if self.seat is None:
            return
        far = {name: changes[name] for name in _SEEN_FAR if name in changes}
        if serves is not None:
            far["serves"] = serves
        if isinstance(looked := changes.get("looked"), float):
            far["looked"] = self.seat.replicas.now() - (time.time() - looked)
        self.seat.post(**far)

    def workers(self) -> list[Worker]:
        """Return what all living workers say, by process id."""
        if self._folder is None:
            return [] if self._posted is None else [self._posted]
        return self._folder.workers()

    def states(self) -> list[State]:
        """Return what all living workers of all replicas say; empty where that is not known."""
        return [] if self.seat is None else list(self.seat.states)

    def leave(self) -> None:
        """Take this worker off the board."""
        if self.seat is not None:
            self.seat.leave()
        if self._folder is not None and self._posted is not None:
            self._folder.remove(self._posted)

    def wake(self) -> None:
        """Have every worker of every replica look at the registry now."""
        if self.seat is not None:
            self.seat.wake()
        self._wake_near()

    def _wake_near(self) -> None:
        self._wakes += 1
        if self._folder is not None:
            self._folder.wake()

    def woken(self) -> tuple[int, ...]:
        """Return numbers that change each time that somebody wakes the workers."""
        far = () if self.seat is None else self.seat.woken
        return (self._wakes if self._folder is None else self._folder.woken(), *far)

    def agreed(self) -> Agreed | None:
        """Return the champion that all replicas serve; None where none is known."""
        return None if self.seat is None else self.seat.agreed()

    @property
    def known_agreed(self) -> Agreed | None:
        """The champion that was agreed on, as far as is known now."""
        return None if self.seat is None else self.seat.known_agreed

    def moment_of(self, agreed: Agreed) -> Moment | None:
        """Return from when on an agreed champion is served; None where that is not known."""
        if self.seat is None:
            return None
        try:
            return self.seat.replicas.moment(agreed)
        except ValueError:
            # Another connection than the one that the agreement was read by.
            return None

    def watch(self) -> None:
        """Break off a question to the replicas' database that hangs."""
        if self.seat is not None:
            self.seat.replicas.watch()

    @property
    def replicated(self) -> bool:
        """Whether there are replicas, and it is known now what they say."""
        return self.seat is not None and self.seat.replicas.available

    def is_behind(self, names: str) -> bool:
        """Tell whether other replicas serve the champion that was agreed on, and this one not."""
        return self.seat is not None and self.seat.is_behind(names)

    def refuse(self, version: RegisteredVersion | None) -> None:
        """Say which version this worker cannot serve: nobody waits for it. None: it tries again."""
        if self.seat is not None:
            refused = "" if version is None else names_of(version)
            self.seat.post(refused=refused, prepared="")

    def agree(
        self, version: RegisteredVersion, digest: str, wanted: Callable[[], bool], limit_s: float
    ) -> Moment | None:
        """Agree on a champion that this worker is ready to serve; return from when on all do.

        Parameters
        ----------
        version, digest
            The version, and the SHA-256 of its artifact.
        wanted
            Tells whether the alias still names it.
        limit_s
            How long replicas that are alive and load it are waited for.

        Returns
        -------
        Moment or None
            None for now: the workers of this replica are ready, or were waited for.

        Raises
        ------
        SupersededError
            If the replicas have agreed on another one meanwhile, or another one is wanted.
        """
        names = names_of(version)
        self.post(prepared=names)
        if self.seat is not None:
            try:
                return self.seat.agree(version, digest, wanted, limit_s)
            except AloneError as err:
                _log.warning("%s is served without an agreement of the replicas: %s", names, err)
        self._wake_near()
        self.wait_prepared(names, _TOGETHER_S)
        return None

    def wait_prepared(self, wanted: str, limit_s: float) -> bool:
        """Wait until every worker is ready to serve a version; say whether all are."""
        until = time.monotonic() + limit_s
        while not self._all(lambda worker: worker.prepared == wanted):
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S)
        return True

    async def wait_looked(self, moment: float, limit_s: float) -> bool:
        """Wait until every worker has finished a look that began after a moment; say whether all.

        On the event loop, so that those who wait hold no thread.

        Parameters
        ----------
        moment
            In seconds since 1970.
        limit_s
            How long to wait.
        """
        until = time.monotonic() + limit_s
        while not self._all(lambda worker: worker.looked >= moment):
            if time.monotonic() > until or is_draining():
                return False
            await asyncio.sleep(_ASK_S)
        if self.seat is None:
            return True
        far = self.seat.replicas.now() - (time.time() - moment)
        return await self.seat.wait_looked(far, until - time.monotonic())

    def _all(self, fine: Callable[[Worker], bool]) -> bool:
        return all(fine(worker) for worker in self.workers())


def workers_folder() -> Path | None:
    """Return the folder that the workers of this process's API share; None where it is alone."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else None


def open_board(of: str = "", replicas: Replicas | None = None, topic: str = "") -> Board:
    """Return a board of the API that this process is a worker of.

    Parameters
    ----------
    of
        What its workers say something of, where that is not the champion of the default fleet.
    replicas
        All replicas of the API, where there are several.
    topic
        What this is called among them.
    """
    folder = workers_folder()
    if folder is not None and of:
        folder = folder / of
        folder.mkdir(exist_ok=True)
    return Board(folder, None if replicas is None else Seat(replicas, topic))
