"""Versions that may become champion: resolved, loaded, refused for a while, kept for later."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from presagio.errors import PresagioError, RegistryError
from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion import last_good
from presagio.serving.champion.agreement import Agreed, names_of
from presagio.serving.champion.served import Served
from presagio.settings import Settings

if TYPE_CHECKING:
    from presagio.registry.reader import RegistryReader

_log = logging.getLogger(__name__)
_REFUSED_S = 60.0


class Candidates:
    """Loads versions of one registered model; a refused one is tried again only after a while.

    Parameters
    ----------
    settings
        Where the registry, the cache and the data bucket are.
    spec
        The machine whose readings a model is to take.
    open_reader
        Opens the registry; called once it is needed.
    """

    def __init__(
        self, settings: Settings, spec: MachineSpec, open_reader: "Callable[[], RegistryReader]"
    ) -> None:
        self._settings, self._spec, self._open_reader = settings, spec, open_reader
        self._reader: RegistryReader | None = None
        self._refused: tuple[str, float] | None = None

    @property
    def reader(self) -> "RegistryReader":
        """The registry."""
        self._reader = self._reader or self._open_reader()
        return self._reader

    def resolve(self) -> RegisteredVersion:
        """Return the version that the champion's alias names.

        Raises
        ------
        NoChampionError
            If it names none.
        RegistryError
            If MLflow does not answer.
        """
        return self.reader.resolve("champion")

    def is_wanted(self, version: RegisteredVersion) -> bool:
        """Tell whether the alias still names a version, as far as the registry answers."""
        try:
            return names_of(self.resolve()) == names_of(version)
        except PresagioError:
            return True

    def is_refused(self, version: RegisteredVersion) -> bool:
        """Tell whether a version was refused a moment ago."""
        refused = self._refused
        return (
            refused is not None
            and refused[0] == names_of(version)
            and time.monotonic() < refused[1]
        )

    def forget_refusal(self) -> None:
        """Let whatever was refused be tried again."""
        self._refused = None

    def load(self, version: RegisteredVersion, agreed: Agreed | None = None) -> Predictor:
        """Load a version, and remember if it is refused.

        Parameters
        ----------
        version
            The version.
        agreed
            Where the replicas have agreed on it: then the data bucket may have it too.

        Raises
        ------
        InvalidArtifactError
            If it may not serve.
        RegistryError
            If it cannot be fetched now.
        """
        try:
            return self._load(version, agreed)
        except RegistryError:
            raise
        except BaseException:
            # No use in loading it at every poll; now and then, since a disk may have been full.
            self._refused = names_of(version), time.monotonic() + _REFUSED_S
            raise

    def _load(self, version: RegisteredVersion, agreed: Agreed | None) -> Predictor:
        # ruff: noqa: PLC0415 - HTTP and S3 clients take their time to import
        from presagio.registry.loading import load_version

        try:
            return load_version(self.reader, version, self._spec, self._settings)
        except RegistryError:
            if agreed is None:
                raise
            from presagio.serving.champion.kept import load_kept

            found = load_kept(self._settings, self._spec, version, agreed.digest)
            if found is None:
                raise
            return found

    def keep(self, version: RegisteredVersion, predictor: Predictor) -> None:
        """Keep what is served for a start on this host without the registry."""
        last_good.keep(self._settings.model_cache, version, predictor)

    def keep_for_all(
        self, predictor: Predictor, wanted: Callable[[], Collection[str] | None]
    ) -> None:
        """Keep what is served for a start on any host, in a thread; a fault is logged, no more.

        Parameters
        ----------
        predictor
            What is served.
        wanted
            Returns the digests of artifacts that stay; others are removed. None: none is removed.
        """

        def keep() -> None:
            from presagio.serving.champion.kept import keep_artifact

            keep_artifact(self._settings, predictor, wanted)

        # A store that hangs holds up no swap.
        threading.Thread(target=keep, name="keep-champion", daemon=True).start()

    def last_good(self) -> Served | None:
        """Return what was served last on this host; None where nothing was."""
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
