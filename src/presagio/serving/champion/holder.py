"""The champion in memory: loaded by alias, followed as it moves, never left without a model."""

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from presagio.errors import InvalidArtifactError, NoChampionError, PresagioError
from presagio.machine.spec import MachineSpec
from presagio.registry import cache as caching
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.board import Board
from presagio.serving.champion.candidates import Candidates
from presagio.serving.champion.changeover import Changeover
from presagio.serving.champion.following import Follower
from presagio.serving.champion.seat import SupersededError
from presagio.serving.champion.served import Served, has_fallback, load_fallback
from presagio.serving.champion.switch import Switch
from presagio.serving.prometheus import ApiMetrics, FleetMetrics
from presagio.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from presagio.registry.reader import RegistryReader

__all__ = ["Champion", "Served", "load_fallback"]

_log = logging.getLogger(__name__)
# The registry answers within this when it is well, and no request gets another model's answer.
_START_S = 0.4
# One that is slow keeps the API from being ready no longer.
_FIRST_LOOK_S = 6.0
# With replicas, what they have agreed on is loaded first.
_FIRST_TOGETHER_S = 60.0
# What others may take to fetch a version, besides trying it. Who takes longer is left behind.
_FETCH_S = 10.0
_SHOWN = 1000
_MOST_LOGGED = 100


class Champion:
    """Holds what is served now, and follows the alias in the registry."""

    def __init__(
        self,
        settings: Settings,
        spec: MachineSpec,
        open_reader: "Callable[[], RegistryReader]",
        board: Board | None = None,
        metrics: FleetMetrics | None = None,
    ) -> None:
        self._settings, self._spec = settings, spec
        self._candidates = Candidates(settings, spec, open_reader)
        self._board, self._metrics = board or Board(None), metrics or ApiMetrics().of(spec.name)
        self.reason: str | None = "the registry has not been asked yet"
        self._logged: set[str] = set()
        self._began = self._finished = time.monotonic()
        self._stale_s = settings.registry_poll_s + settings.registry_stale_s
        # A look that is asked for and the next one may meet; one after the other they may not.
        self._looking = threading.Lock()
        self._follower = Follower(self.refresh, self.watch, self._board, settings.registry_poll_s)
        # None until there is a champion, for machines that no model ships for.
        self._switch = Switch(
            self._candidates.last_good() or (load_fallback(spec) if has_fallback(spec) else None)
        )
        self._changeover = Changeover(
            self._candidates, self._board, self._switch, self._metrics,
            settings.model_trial_s + _FETCH_S, self._note_swap,
        )  # fmt: skip
        self._post()

    @property
    def served(self) -> Served:
        """What is served now.

        Raises
        ------
        NoChampionError
            If there is no model of this machine yet.
        """
        served = self._switch.served
        if served is None:
            raise NoChampionError(self.remedy)
        return served

    @property
    def current(self) -> Served | None:
        """What is served, as far as it has been taken; None where there is no model yet."""
        return self._switch.current

    @property
    def remedy(self) -> str:
        """What to do where there is no model of this machine yet."""
        fleet = self._settings.fleet
        command = f"presagio train --fleet {fleet}" if fleet else "presagio train"
        return (
            f"no model of {self._spec.name} has been champion yet; train one: {command} --csv FILE"
        )

    @property
    def summary(self) -> dict[str, Any]:
        """What is served now, as answers name it: ``model``, ``version``, ``degraded``."""
        served = self.current
        if served is None:
            return {"model": "none", "version": "", "degraded": True}
        return {"model": served.model, "version": served.version, "degraded": served.degraded}

    def _post(self) -> None:
        served = self.current
        serves = "" if served is None else served.names
        self._board.post(serves=serves, **self.summary, reason=self.reason)

    @property
    def behind(self) -> bool:
        """Whether other replicas serve the champion that was agreed on, and this one does not."""
        return self._board.is_behind("" if self.current is None else self.current.names)

    @property
    def settled(self) -> bool:
        """Whether it is known what to serve: the registry has been asked, or is slow to answer."""
        waited, looked = time.monotonic() - self._began, self._follower.looked.is_set()
        current, most = self.current, _FIRST_LOOK_S
        cached = current is not None and current.source == "cache"
        if self._board.seat is not None:
            # What was served here last may not be what the others serve now.
            agreed, most = self._board.known_agreed, _FIRST_TOGETHER_S
            cached = cached and agreed is not None and self._changeover.is_served(agreed.version)
        return cached or looked or waited > most

    async def start(self) -> asyncio.Task[None]:
        """Start to follow the alias; return when it is known what to serve, or after a moment.

        With the last good model at hand there is no wait: it answers until the registry does.
        """
        task = asyncio.create_task(self._follower.run(), name="follow-champion")
        if not self.settled:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._follower.looked.wait(), _START_S)
        return task

    def wake(self) -> None:
        """Have every worker look at the alias soon; returns at once, however often it is called."""
        self._follower.wake()

    async def look_everywhere(self, limit_s: float) -> bool:
        """Have every worker look at the alias; say whether all have, within a limit.

        Those who ask at the same time share a look.
        """
        began = time.time()
        self.wake()
        return await self._board.wait_looked(began, limit_s)

    def refresh(self) -> None:
        """Look at the alias once, and load what it names if that is not served yet.

        Any fault leaves the model that is served as it is, and its reason in ``reason``.
        """
        with self._looking:
            began = time.time()
            result = self._look()
            self._finished = time.monotonic()
            self._board.post(looked=began, finished=time.time())
            self._metrics.look(result)

    def watch(self) -> None:
        """Call this worker degraded when its last finished look is too long ago: one may hang."""
        self._board.watch()
        if time.monotonic() - self._finished > self._stale_s:
            self._degrade(
                f"no look at the registry has ended for more than {self._stale_s:g} s; restart the "
                "API if it stays so"
            )

    def _look(self) -> str:
        """Look once; return how it ended."""
        try:
            followed = self._changeover.follow_agreement()
            version = self._candidates.resolve()
            if self._changeover.is_served(version):
                self._confirm(version)
                self._changeover.agree_on_served(version)
                return "swapped" if followed else "confirmed"
            if self._candidates.is_refused(version):
                return "refused"
            self._changeover.swap(version)
        except SupersededError:
            # Whatever is wanted now is looked at at once.
            self._follower.look_again()
            return "superseded"
        except PresagioError as err:
            self._degrade(str(err)[:_SHOWN])
            return "refused" if isinstance(err, InvalidArtifactError) else "unavailable"
        except KeyboardInterrupt:
            raise
        except BaseException as err:  # noqa: BLE001 - panics of libraries too: the loop goes on
            self._degrade(
                f"the look at the registry failed by a fault of Presagio, whose trace is in the "
                f"log: {type(err).__name__}: {str(err)[:_SHOWN]}", err,
            )  # fmt: skip
            return "failed"
        return "swapped"

    def _degrade(self, reason: str, fault: BaseException | None = None) -> None:
        """Say why what is served may not be the champion; each reason is logged once."""
        with self._switch.changing:
            served = self.current
            if self.reason == reason and (served is None or not served.confirmed):
                return
            self.reason = reason
            if served is not None:
                self._switch.current = replace(served, confirmed=False)
        if reason not in self._logged:
            if len(self._logged) >= _MOST_LOGGED:
                self._logged.clear()
            self._logged.add(reason)
            still = "no model" if served is None else f"{served.model} version {served.version}"
            _log.warning("serving %s still: %s", still, reason, exc_info=fault)
        self._post()

    def _confirm(self, version: RegisteredVersion) -> None:
        self._candidates.forget_refusal()
        with self._switch.changing:
            served = self.current
            assert served is not None  # noqa: S101 - it was compared with the version
            confirmed, self.reason = served.confirmed, None
            self._finished = time.monotonic()
            if not confirmed:
                self._switch.current = replace(served, source="registry", confirmed=True)
        # So that it is not the one that has not been used for longest.
        caching.touch(caching.folder_of(self._settings.model_cache, version))
        if not confirmed:
            self._logged.clear()
            _log.info("serving %s version %s, confirmed", version.name, version.version)
            self._post()

    def _note_swap(self, late: float) -> None:
        """Say what is served from now on, and how long after its moment it was taken."""
        with self._switch.changing:
            self.reason = None
            self._finished = time.monotonic()
        self._logged.clear()
        # The first one was agreed on before this worker was there.
        self._board.post(since=time.time(), late=late if self._follower.looked.is_set() else 0.0)
        self._post()
