"""The champion in memory: loaded by alias, followed as it moves, never left without a model."""

import asyncio
import json
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from presagio.errors import InvalidArtifactError, PresagioError
from presagio.inference.diagnosis import explain
from presagio.inference.predictor import Predictor, check_inputs, fallback_folder, load_predictor
from presagio.machine.spec import MachineSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from presagio.registry.reader import RegistryReader
from presagio.registry.versions import RegisteredVersion
from presagio.serving.board import Board
from presagio.serving.executors import Executor
from presagio.serving.metrics import Metrics
from presagio.settings import Settings

_log = logging.getLogger(__name__)
# The registry answers within this when it is well, and no request gets another model's answer.
_START_S = 0.4
# One that is slow keeps the API from being ready no longer.
_FIRST_LOOK_S = 6.0
# The others may be loading; one that cannot is left behind.
_TOGETHER_S = 5.0
_WOKEN_POLL_S = 0.25
_REFUSED_S = 60.0
_LAST_GOOD = "last-good.json"
_WARM_ROWS = 512


@dataclass(frozen=True)
class Served:
    """A loaded model and where it comes from; replaced as a whole, so an answer has one version.

    Attributes
    ----------
    confirmed
        Whether the registry said at the last look that this is the champion.
    """

    predictor: Predictor
    model: str
    version: str
    source: Literal["registry", "cache", "fallback"]
    confirmed: bool
    run_id: str = ""

    @property
    def degraded(self) -> bool:
        """Whether this may not be the champion."""
        return not self.confirmed


def load_fallback(spec: MachineSpec) -> Served:
    """Load the artifact that ships with the package.

    Raises
    ------
    InvalidArtifactError
        If it is damaged, or was made for other inputs than the machine spec's.
    """
    predictor = load_predictor(fallback_folder())
    check_inputs(predictor, spec)
    digest = predictor.artifact.digest[:12]
    return Served(predictor, "fallback", digest, "fallback", confirmed=False)


def _warm_up(predictor: Predictor, spec: MachineSpec) -> None:
    """Have everything run once that a request runs: first calls allocate, and take their time."""
    row = predictor.arrange([spec.example])
    predictor.predict(row)
    predictor.predict(np.repeat(row, _WARM_ROWS, axis=0))
    explain(predictor, row[0], alarm=True)


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
        metrics: Metrics | None = None,
    ) -> None:
        self._settings, self._spec = settings, spec
        self._open_reader = open_reader
        self._reader: RegistryReader | None = None
        self._board, self._metrics = board or Board(None), metrics or Metrics()
        self.reason: str | None = "the registry has not been asked yet"
        self._refused: tuple[str, float] | None = None
        self._looked, self._began = asyncio.Event(), time.monotonic()
        # A reload that is asked for and the next look may meet; one after the other they may not.
        self._looking = threading.Lock()
        # A thread of its own: whatever requests wait for, the champion is followed.
        self._executor = Executor("champion", threads=1, waiting=1)
        self.served = self._last_good() or load_fallback(spec)
        _warm_up(self.served.predictor, spec)
        self._post()

    def _post(self) -> None:
        served = self.served
        self._board.post(
            model=served.model, version=served.version, degraded=served.degraded,
            reason=self.reason,
        )  # fmt: skip

    @property
    def settled(self) -> bool:
        """Whether it is known what to serve: the registry has been asked, or is slow to answer."""
        waited = time.monotonic() - self._began
        return self.served.source == "cache" or self._looked.is_set() or waited > _FIRST_LOOK_S

    async def start(self) -> asyncio.Task[None]:
        """Start to follow the alias; return when it is known what to serve, or after a moment.

        With the last good model at hand there is no wait: it answers until the registry does.
        """
        task = asyncio.create_task(self._follow(), name="follow-champion")
        if not self.settled:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._looked.wait(), _START_S)
        return task

    async def _follow(self) -> None:
        """Look at the alias again and again, until cancelled."""
        while True:
            woken = self._board.woken()
            await self._executor.resume(self.refresh)
            self._looked.set()
            until = time.monotonic() + self._settings.registry_poll_s
            while time.monotonic() < until and self._board.woken() == woken:
                await asyncio.sleep(min(_WOKEN_POLL_S, self._settings.registry_poll_s))

    def refresh(self) -> None:
        """Look at the alias once, and load what it names if that is not served yet.

        Any fault leaves the model that is served as it is, and its reason in ``reason``.
        """
        with self._looking:
            began = time.time()
            self._look()
            self._board.post(looked=began)

    def refresh_all(self, limit_s: float) -> None:
        """Have every worker look at the alias now; return when all have, or after a while."""
        began = time.time()
        self._board.wake()
        self.refresh()
        self._board.wait_looked(began, limit_s)

    def _look(self) -> None:
        try:
            self._reader = self._reader or self._open_reader()
            version = self._reader.resolve("champion")
            if self._is_served(version):
                self._confirm(version)
            elif not self._is_refused(version):
                self._swap(self._reader, version)
        except PresagioError as err:
            if self.reason != str(err):
                _log.warning(
                    "serving %s version %s still: %s", self.served.model, self.served.version, err
                )
            self.reason = str(err)
            self.served = replace(self.served, confirmed=False)
            self._post()

    def _is_served(self, version: RegisteredVersion) -> bool:
        served = self.served
        # Not by its number alone: a registry that was made anew counts from 1 again.
        return served.source != "fallback" and (served.model, served.version, served.run_id) == (
            version.name, version.version, version.run_id,
        )  # fmt: skip

    def _is_refused(self, version: RegisteredVersion) -> bool:
        refused = self._refused
        return (
            refused is not None and refused[0] == _names(version) and time.monotonic() < refused[1]
        )

    def _confirm(self, version: RegisteredVersion) -> None:
        self._refused, self.reason = None, None
        if not self.served.confirmed:
            self.served = replace(self.served, source="registry", confirmed=True)
            _log.info("serving %s version %s, confirmed", version.name, version.version)
            self._post()

    def _swap(self, reader: "RegistryReader", version: RegisteredVersion) -> None:
        try:
            predictor = self._load(reader, version)
            check_inputs(predictor, self._spec)
            _warm_up(predictor, self._spec)
        except InvalidArtifactError:
            # No use in loading it at every poll; now and then, since a disk may have been full.
            self._refused = _names(version), time.monotonic() + _REFUSED_S
            self._metrics.swap("refused")
            raise
        # All workers change over at one moment, as far as they can.
        self._board.post(prepared=_names(version))
        self._board.wake()
        self._board.wait_prepared(_names(version), _TOGETHER_S)
        self.served = Served(
            predictor,
            version.name,
            version.version,
            "registry",
            confirmed=True,
            run_id=version.run_id,
        )
        self.reason, self._refused = None, None
        self._board.post(since=time.time())
        self._post()
        self._metrics.swap("swapped")
        self._keep(version, predictor)
        _log.info("serving %s version %s", version.name, version.version)

    def _load(self, reader: "RegistryReader", version: RegisteredVersion) -> Predictor:
        cache = self._settings.model_cache
        if version.digest is None:
            from presagio.registry.foreign import load_foreign  # noqa: PLC0415 - scikit-learn

            return load_foreign(reader, version, self._spec, self._settings)
        try:
            return load_predictor(reader.fetch(version, cache), digest=version.digest)
        except InvalidArtifactError:
            # The copy in the cache may be the damaged one.
            return load_predictor(reader.fetch(version, cache, anew=True), digest=version.digest)

    def _keep(self, version: RegisteredVersion, predictor: Predictor) -> None:
        """Remember what was served last, for a start without the registry."""
        said = {
            "name": version.name, "version": version.version, "run_id": version.run_id,
            "folder": predictor.artifact.folder.name, "digest": predictor.artifact.digest,
        }  # fmt: skip
        path = self._settings.model_cache / _LAST_GOOD
        scratch = path.with_name(f".{_LAST_GOOD}.{threading.get_native_id()}")
        # Without it a start takes longer; no reason to stop serving over a full disk.
        with suppress(OSError):
            scratch.write_text(json.dumps(said), encoding="utf-8")
            scratch.replace(path)

    def _last_good(self) -> Served | None:
        cache = self._settings.model_cache
        try:
            said = json.loads((cache / _LAST_GOOD).read_bytes())
            predictor = load_predictor(cache / Path(said["folder"]).name, digest=said["digest"])
            check_inputs(predictor, self._spec)
        except FileNotFoundError:
            return None
        except (InvalidArtifactError, OSError, ValueError, KeyError, TypeError) as err:
            _log.warning("the last good model in %s is not: %s", cache, err)
            return None
        if said["name"] != self._settings.model_name:
            return None
        return Served(
            predictor, said["name"], said["version"], "cache", confirmed=False,
            run_id=said["run_id"],
        )  # fmt: skip
