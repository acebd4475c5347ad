"""The champion in memory: loaded by alias, followed as it moves, never left without a model."""

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from presagio.errors import (
    InvalidArtifactError,
    NoChampionError,
    PresagioError,
    RegistryError,
)
from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec
from presagio.registry import cache as caching
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion import last_good
from presagio.serving.champion.board import Board
from presagio.serving.champion.following import Follower
from presagio.serving.champion.served import Served, has_fallback, load_fallback
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
# The others may be loading; one that cannot is left behind.
_TOGETHER_S = 5.0
_REFUSED_S = 60.0
_SHOWN = 1000
_MOST_LOGGED = 100


def _names(version: RegisteredVersion) -> str:
    return f"{version.name}/{version.version}/{version.run_id}"


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
        self._open_reader = open_reader
        self._reader: RegistryReader | None = None
        self._board, self._metrics = board or Board(None), metrics or ApiMetrics().of(spec.name)
        self.reason: str | None = "the registry has not been asked yet"
        self._refused: tuple[str, float] | None = None
        self._logged: set[str] = set()
        self._began = self._finished = time.monotonic()
        self._stale_s = settings.registry_poll_s + settings.registry_stale_s
        # A look that is asked for and the next one may meet; one after the other they may not.
        self._looking = threading.Lock()
        # What is served is changed by looks and by the watch over them.
        self._changing = threading.Lock()
        self._follower = Follower(self.refresh, self.watch, self._board, settings.registry_poll_s)
        # None until there is a champion, for machines that no model ships for.
        self.current = self._last_good() or (load_fallback(spec) if has_fallback(spec) else None)
        self._post()

    @property
    def served(self) -> Served:
        """What is served now.

        Raises
        ------
        NoChampionError
            If there is no model of this machine yet.
        """
        if self.current is None:
            raise NoChampionError(self.remedy)
        return self.current

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

    def _last_good(self) -> Served | None:
        settings = self._settings
        found = last_good.load(
            settings.model_cache, self._spec, settings.model_name, limit_s=settings.model_trial_s
        )
        if found is None:
            return None
        version, predictor = found
        return Served(
            predictor, version.name, version.version, "cache", confirmed=False,
            run_id=version.run_id,
        )  # fmt: skip

    def _post(self) -> None:
        self._board.post(**self.summary, reason=self.reason)

    @property
    def settled(self) -> bool:
        """Whether it is known what to serve: the registry has been asked, or is slow to answer."""
        waited, looked = time.monotonic() - self._began, self._follower.looked.is_set()
        cached = self.current is not None and self.current.source == "cache"
        return cached or looked or waited > _FIRST_LOOK_S

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
        if time.monotonic() - self._finished > self._stale_s:
            self._degrade(
                f"no look at the registry has ended for more than {self._stale_s:g} s; restart the "
                "API if it stays so"
            )

    def _look(self) -> str:
        """Look once; return how it ended."""
        try:
            self._reader = self._reader or self._open_reader()
            version = self._reader.resolve("champion")
            if self._is_served(version):
                self._confirm(version)
                return "confirmed"
            if self._is_refused(version):
                return "refused"
            self._swap(self._reader, version)
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
        with self._changing:
            served = self.current
            if self.reason == reason and (served is None or not served.confirmed):
                return
            self.reason = reason
            if served is not None:
                self.current = replace(served, confirmed=False)
        if reason not in self._logged:
            if len(self._logged) >= _MOST_LOGGED:
                self._logged.clear()
            self._logged.add(reason)
            still = "no model" if served is None else f"{served.model} version {served.version}"
            _log.warning("serving %s still: %s", still, reason, exc_info=fault)
        self._post()

    def _is_served(self, version: RegisteredVersion) -> bool:
        served = self.current
        if served is None or served.source == "fallback":
            return False
        # Not by its number alone: a registry that was made anew counts from 1 again.
        return (served.model, served.version, served.run_id) == (
            version.name, version.version, version.run_id,
        )  # fmt: skip

    def _is_refused(self, version: RegisteredVersion) -> bool:
        refused = self._refused
        return (
            refused is not None and refused[0] == _names(version) and time.monotonic() < refused[1]
        )

    def _confirm(self, version: RegisteredVersion) -> None:
        self._refused = None
        with self._changing:
            served = self.served
            confirmed, self.reason = served.confirmed, None
            self._finished = time.monotonic()
            if not confirmed:
                self.current = replace(served, source="registry", confirmed=True)
        # So that it is not the one that has not been used for longest.
        caching.touch(caching.folder_of(self._settings.model_cache, version))
        if not confirmed:
            self._logged.clear()
            _log.info("serving %s version %s, confirmed", version.name, version.version)
            self._post()

    def _swap(self, reader: "RegistryReader", version: RegisteredVersion) -> None:
        try:
            predictor = self._load(reader, version)
        except RegistryError:
            raise
        except BaseException:
            # No use in loading it at every poll; now and then, since a disk may have been full.
            self._refused = _names(version), time.monotonic() + _REFUSED_S
            self._metrics.swap("refused")
            raise
        # All workers change over at one moment, as far as they can.
        self._board.post(prepared=_names(version))
        self._board.wake()
        self._board.wait_prepared(_names(version), _TOGETHER_S)
        with self._changing:
            self.current = Served(
                predictor, version.name, version.version, "registry", confirmed=True,
                run_id=version.run_id,
            )  # fmt: skip
            self.reason, self._refused = None, None
            self._finished = time.monotonic()
        self._logged.clear()
        self._board.post(since=time.time())
        self._post()
        self._metrics.swap("swapped")
        last_good.keep(self._settings.model_cache, version, predictor)
        _log.info("serving %s version %s", version.name, version.version)

    def _load(self, reader: "RegistryReader", version: RegisteredVersion) -> Predictor:
        # An HTTP client takes its time to import.
        from presagio.registry.loading import load_version  # noqa: PLC0415

        return load_version(reader, version, self._spec, self._settings)
