"""The place of one process among all replicas, for one champion or another thing they share."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from presagio.serving.champion.agreement import Agreed, Moment, State, names_of
from presagio.serving.champion.replicas import Replicas
from presagio.serving.http.draining import is_draining

if TYPE_CHECKING:
    from presagio.registry.versions import RegisteredVersion
    from presagio.serving.champion.replica_tables import View

_LOOK_S = 0.2
_ASK_S = 0.05
_ASK_AGAIN_S = 1.0
_FIRST_S = 3.0
# From the moment of a swap on: what is written late is read late.
_LATE_S = 2.0


class AloneError(Exception):
    """It is not known now what the other replicas say."""


class SupersededError(Exception):
    """Another version was agreed on, or is wanted, than the one that was proposed."""


class Seat:
    """What this process says of a topic, and hears of it.

    Parameters
    ----------
    replicas
        All that are there.
    topic
        What is spoken about, such as a registered model.
    """

    def __init__(self, replicas: Replicas, topic: str) -> None:
        self.replicas, self._topic = replicas, topic
        replicas.post(topic)

    @property
    def _view(self) -> "View | None":
        return self.replicas.view(self._topic)

    @property
    def states(self) -> tuple[State, ...]:
        """What all living processes say, by replica; empty where that is not known."""
        view = self._view
        return () if view is None else view.states

    @property
    def known_agreed(self) -> Agreed | None:
        """The champion that was agreed on, as far as is known now."""
        view = self._view
        return None if view is None else view.agreed

    @property
    def woken(self) -> tuple[int, int]:
        """What changes when somebody wakes all, or a champion was agreed on."""
        view = self._view
        return (0, 0) if view is None else (view.woken, view.generation)

    def post(self, **changes: Any) -> None:
        """Say something new of this process: fields of :class:`State`."""
        self.replicas.post(self._topic, **changes)

    def leave(self) -> None:
        """Say nothing of the topic any more."""
        self.replicas.withdraw(self._topic)

    def wake(self) -> None:
        """Have all processes look."""
        self.replicas.wake(self._topic)

    def agreed(self) -> Agreed | None:
        """Return the champion that was agreed on; None where there is none, or it is not known.

        Waits for the database's first answer, for a moment.
        """
        until = time.monotonic() + _FIRST_S
        while not self.replicas.asked and time.monotonic() < until:
            self.replicas.wait(_LOOK_S)
        view = self._view
        return None if view is None else view.agreed

    def is_behind(self, names: str) -> bool:
        """Tell whether another replica serves what was agreed on, and this one does not."""
        view = self._view
        if view is None or view.agreed is None or view.agreed.names == names:
            return False
        wanted = view.agreed.names
        late = self.replicas.now() > view.agreed.at + _LATE_S
        return late and any(state.serves == wanted for state in view.states)

    def agree(
        self, version: "RegisteredVersion", digest: str, wanted: Callable[[], bool], limit_s: float
    ) -> Moment:
        """Agree on a champion that this process is ready to serve; return from when on all do.

        Parameters
        ----------
        version, digest
            The version, and the SHA-256 of its artifact.
        wanted
            Tells whether it still is the one that the alias names; asked once all are ready.
        limit_s
            How long the others are waited for.

        Raises
        ------
        AloneError
            If it is not known, or not any more, what the others say.
        SupersededError
            If another one was agreed on meanwhile, or is wanted now.
        """
        names = names_of(version)
        self.post(prepared=names)
        try:
            with self.replicas.attentively():
                return self.replicas.moment(self._agree(version, digest, wanted, limit_s))
        except SupersededError:
            self.post(prepared="")
            raise

    def _agree(
        self, version: "RegisteredVersion", digest: str, wanted: Callable[[], bool], limit_s: float
    ) -> Agreed:
        names, until, asked = names_of(version), time.monotonic() + limit_s, 0.0
        first = self._seen().generation
        while True:
            view, now = self._seen(), time.monotonic()
            if view.agreed is not None and view.agreed.names == names:
                return view.agreed
            if view.generation != first:
                raise SupersededError(names)
            if now - asked > _ASK_AGAIN_S and (now > until or _all_decided(view, names)):
                if not wanted():
                    raise SupersededError(names)
                self.replicas.decide(self._topic, version, digest, view.generation)
                asked = now
            self.replicas.wait(_LOOK_S)

    def _seen(self) -> "View":
        view = self._view
        if view is None:
            raise AloneError(self.replicas.fault)
        return view

    async def wait_looked(self, moment: float, limit_s: float) -> bool:
        """Wait until all have finished a look that began after a moment; say whether they have.

        Parameters
        ----------
        moment
            By the database's clock, in seconds since 1970.
        limit_s
            How long to wait.
        """
        until = time.monotonic() + limit_s
        while (view := self._view) is not None:
            if view.states and all(state.looked >= moment for state in view.states):
                return True
            if time.monotonic() > until or is_draining():
                return False
            await asyncio.sleep(_ASK_S)
        return False


def _all_decided(view: "View", names: str) -> bool:
    return all(state.decided_on(names) for state in view.states)
