"""From one champion to the next: loaded, agreed on with all others, taken at one moment."""

import logging
from collections.abc import Callable
from functools import partial

from presagio.errors import RegistryError
from presagio.inference.predictor import Predictor
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.agreement import Agreed, Moment, names_of
from presagio.serving.champion.board import Board
from presagio.serving.champion.candidates import Candidates
from presagio.serving.champion.served import Served
from presagio.serving.champion.switch import Switch
from presagio.serving.prometheus import FleetMetrics

_log = logging.getLogger(__name__)


class Changeover:
    """Changes what is served.

    Parameters
    ----------
    candidates
        Loads versions.
    board
        The other workers, of all replicas.
    switch
        Holds what is served.
    metrics
        Where swaps are counted.
    limit_s
        How long others that load a version are waited for.
    taken
        Called after a version was taken, with the seconds since its moment.
    """

    def __init__(
        self, candidates: Candidates, board: Board, switch: Switch, metrics: FleetMetrics,
        limit_s: float, taken: Callable[[float], None],
    ) -> None:  # fmt: skip
        self._candidates, self._board, self._switch = candidates, board, switch
        self._metrics, self._limit_s, self._taken = metrics, limit_s, taken
        # Which of the replicas' agreements it follows.
        self._followed = 0
        # Whether it serves what the alias named while it was not known what the others say.
        self._alone = False

    def is_served(self, version: RegisteredVersion) -> bool:
        """Tell whether a version is what is served now."""
        served = self._switch.current
        if served is None or served.source == "fallback":
            return False
        # Not by its number alone: a registry that was made anew counts from 1 again.
        return (served.model, served.version, served.run_id) == (
            version.name, version.version, version.run_id,
        )  # fmt: skip

    def follow_agreement(self) -> bool:
        """Serve what the replicas have agreed on since the last look; say whether that was new.

        What can be fetched neither from the registry nor from the data bucket is passed over: it is
        for the alias to say then what is served.

        Raises
        ------
        InvalidArtifactError
            If it cannot be served.
        """
        agreed = self._board.agreed()
        if agreed is None or agreed.generation == self._followed:
            return False
        version = agreed.version
        if self.is_served(version) or self._serves_newer():
            self._followed = agreed.generation
            return False
        if self._candidates.is_refused(version):
            return False
        try:
            predictor = self._load(version, agreed)
        except RegistryError:
            # A version that was removed, or one of a third party, whose source is not agreed on.
            return False
        self._take(version, predictor, self._board.moment_of(agreed))
        # What it was ready for, or refused, before says nothing of the next time.
        self._board.refuse(None)
        self._followed, self._alone = agreed.generation, False
        return True

    def _serves_newer(self) -> bool:
        """Tell whether the alias names what was taken without the others: they agree on it anew."""
        try:
            return self._alone and self.is_served(self._candidates.resolve())
        except RegistryError:
            return False

    def agree_on_served(self, version: RegisteredVersion) -> None:
        """Have the replicas agree on what is served, where that came about without them."""
        agreed, self._alone = self._board.agreed(), not self._board.replicated
        if self._alone or (agreed and agreed.names == names_of(version)):
            return
        served = self._switch.served
        assert served is not None  # noqa: S101 - it was compared with the version
        predictor = served.predictor
        self._agree(version, predictor)
        self._keep_for_all(predictor, None)

    def _agree(self, version: RegisteredVersion, predictor: Predictor) -> Moment | None:
        return self._board.agree(
            version, predictor.artifact.digest, partial(self._candidates.is_wanted, version),
            self._limit_s,
        )  # fmt: skip

    def swap(self, version: RegisteredVersion) -> None:
        """Serve a version that the alias names, from when on all serve it.

        Raises
        ------
        InvalidArtifactError
            If it cannot be served.
        RegistryError
            If it cannot be fetched.
        SupersededError
            If the replicas have agreed on another one meanwhile, or another one is wanted.
        """
        # The others load it meanwhile.
        self._board.wake()
        self._board.refuse(None)
        predictor = self._load(version)
        # All workers change over at one moment, as far as they can.
        moment = self._agree(version, predictor)
        self._take(version, predictor, moment)
        self._alone = moment is None

    def _load(self, version: RegisteredVersion, agreed: Agreed | None = None) -> Predictor:
        try:
            return self._candidates.load(version, agreed)
        except RegistryError:
            raise
        except BaseException:
            self._board.refuse(version)
            self._metrics.swap("refused")
            raise

    def _take(
        self, version: RegisteredVersion, predictor: Predictor, moment: Moment | None
    ) -> None:
        """Serve a version, from a moment on or from now on."""
        coming = Served(
            predictor, version.name, version.version, "registry", confirmed=True,
            run_id=version.run_id,
        )  # fmt: skip
        before = self._switch.current
        late = self._switch.take(coming, moment)
        self._candidates.forget_refusal()
        self._taken(late)
        self._metrics.swap("swapped")
        self._candidates.keep(version, predictor)
        _log.info("serving %s version %s", version.name, version.version)
        self._keep_for_all(predictor, before)

    def _keep_for_all(self, predictor: Predictor, before: Served | None) -> None:
        """Let replicas on other hosts start with it; what is served before or next stays too."""
        kept = {one.artifact.digest for one in (predictor, before and before.predictor) if one}

        def wanted() -> set[str] | None:
            agreed = self._board.known_agreed
            return None if agreed is None else kept | {agreed.digest}

        if self._board.replicated:
            self._candidates.keep_for_all(predictor, wanted)
