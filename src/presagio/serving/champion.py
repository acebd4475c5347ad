"""The champion in memory: loaded by alias, followed as it moves, never left without a model."""

import asyncio
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from presagio.errors import InvalidArtifactError, PresagioError
from presagio.inference.predictor import Predictor, fallback_folder, load_predictor
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from presagio.registry.recording import Registry
    from presagio.registry.versions import RegisteredVersion

_log = logging.getLogger(__name__)
_FIRST_LOAD_LIMIT_S = 6.0


@dataclass(frozen=True)
class Served:
    """A loaded model and where it comes from; replaced as a whole, so an answer has one version."""

    predictor: Predictor
    model: str
    version: str
    source: Literal["registry", "fallback"]

    @property
    def degraded(self) -> bool:
        """Whether this is not the champion."""
        return self.source == "fallback"


def load_fallback(spec: MachineSpec) -> Served:
    """Load the artifact that ships with the package.

    Raises
    ------
    InvalidArtifactError
        If it is damaged, or was made for other inputs than the machine spec's.
    """
    predictor = load_predictor(fallback_folder())
    _check_inputs(predictor, spec)
    return Served(predictor, "fallback", predictor.artifact.digest[:12], "fallback")


def _check_inputs(predictor: Predictor, spec: MachineSpec) -> None:
    if predictor.artifact.manifest.inputs != spec.input_names:
        raise InvalidArtifactError(
            f"the model takes {predictor.artifact.manifest.inputs}, "
            f"the machine spec {spec.name} has {spec.input_names}"
        )


class Champion:
    """Holds what is served now, and follows the alias in the registry."""

    def __init__(
        self, settings: Settings, spec: MachineSpec, open_registry: "Callable[[], Registry]"
    ) -> None:
        self.served = load_fallback(spec)
        self.reason: str | None = "the registry has not been asked yet"
        self._settings, self._spec = settings, spec
        self._open_registry = open_registry
        self._registry: Registry | None = None
        self._refused: tuple[str, str] | None = None
        # A reload that is asked for and the next look may meet; one after the other they may not.
        self._looking = threading.Lock()

    async def follow(self, first_look: asyncio.Event) -> None:
        """Look at the alias again and again, until cancelled."""
        while True:
            await asyncio.to_thread(self.refresh)
            first_look.set()
            await asyncio.sleep(self._settings.registry_poll_s)

    def refresh(self) -> None:
        """Look at the alias once, and load what it names if that is not served yet.

        Any fault leaves the model that is served as it is, and its reason in ``reason``.
        """
        with self._looking:
            self._look()

    def _look(self) -> None:
        try:
            # Opened here, off the event loop: importing MLflow takes seconds.
            self._registry = self._registry or self._open_registry()
            version = self._registry.resolve("champion")
            if self._is_served(version):
                self.reason, self._refused = None, None
            elif (version.version, version.run_id) != self._refused:
                self._swap(self._registry, version)
        except PresagioError as err:
            if self.reason != str(err):
                _log.warning(
                    "serving %s version %s still: %s", self.served.model, self.served.version, err
                )
            self.reason = str(err)

    def _is_served(self, version: "RegisteredVersion") -> bool:
        served = self.served
        return (served.source, served.version) == ("registry", version.version)

    def _swap(self, registry: "Registry", version: "RegisteredVersion") -> None:
        try:
            predictor = self._load(registry, version)
            _check_inputs(predictor, self._spec)
        except InvalidArtifactError:
            # Refused once is refused until the alias moves; no use in loading it every poll.
            self._refused = (version.version, version.run_id)
            raise
        self.served = Served(predictor, version.name, version.version, "registry")
        self.reason, self._refused = None, None
        _log.info("serving %s version %s", version.name, version.version)

    def _load(self, registry: "Registry", version: "RegisteredVersion") -> Predictor:
        cache = self._settings.model_cache
        try:
            return load_predictor(registry.fetch(version, cache), digest=version.digest)
        except InvalidArtifactError:
            # The copy in the cache may be the damaged one.
            return load_predictor(registry.fetch(version, cache, anew=True), digest=version.digest)


async def start_following(champion: Champion) -> asyncio.Task[None]:
    """Start to follow the alias; return after the first look, or when it takes too long."""
    first_look = asyncio.Event()
    task = asyncio.create_task(champion.follow(first_look), name="follow-champion")
    try:
        await asyncio.wait_for(first_look.wait(), _FIRST_LOAD_LIMIT_S)
    except TimeoutError:
        _log.warning("the registry is slow; serving the fallback model until it answers")
    return task
