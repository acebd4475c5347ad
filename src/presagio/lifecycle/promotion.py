"""Who is champion: by the gate, by force, or back to the one before; each written down."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import ChampionChangedError, InvalidArtifactError, RegistryError
from presagio.inference.predictor import Predictor
from presagio.lifecycle.description import present
from presagio.lifecycle.gate import GateDecision, GateRules, Side, compare
from presagio.machine.spec import MachineSpec
from presagio.registry.loading import load_version
from presagio.registry.versions import (
    DATA_TAG,
    HOLDOUT,
    NEWEST_RECEIPT_TAG,
    RegisteredVersion,
)
from presagio.registry.writer import Registry, open_registry
from presagio.scoring.arrays import score_rows
from presagio.scoring.frames import inputs_of
from presagio.sentences import Sentence, sentence_json
from presagio.settings import Settings
from presagio.storage.database import open_database
from presagio.storage.promotions import (
    REASONS,
    Decision,
    DecisionMaker,
    Promotions,
    RecordedDecision,
    joined,
)


@dataclass(frozen=True)
class Promoter:
    """What promotions need: the registry, the ledger of decisions and the gate's rules."""

    registry: Registry
    promotions: Promotions
    spec: MachineSpec
    rules: GateRules
    settings: Settings


@dataclass(frozen=True)
class Seen:
    """Which version was champion when somebody decided; None: there was none."""

    champion: str | None

    def check(self, champion: RegisteredVersion | None) -> None:
        """Refuse what was decided about another champion.

        Raises
        ------
        ChampionChangedError
            If the champion is another one now.
        """
        now = None if champion is None else champion.version
        if now != self.champion:
            raise ChampionChangedError(
                f"the champion is version {now or 'none'} now, no longer {self.champion or 'none'}",
                now,
            )


def open_promoter(settings: Settings, spec: MachineSpec) -> Promoter:
    """Open what the settings name; nothing is asked of it yet."""
    return Promoter(
        open_registry(settings),
        Promotions(open_database(settings)),
        spec,
        GateRules(settings.gate_confidence, settings.gate_worst_category),
        settings,
    )


def _predictor(promoter: Promoter, version: RegisteredVersion) -> Predictor:
    return load_version(promoter.registry, version, promoter.spec, promoter.settings)


def _held_out(
    promoter: Promoter, version: RegisteredVersion
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[Any] | None]:
    """Fetch the rows that were held out when a version was trained: inputs, target, units."""
    spec = promoter.spec
    with tempfile.TemporaryDirectory() as scratch:
        folder = promoter.registry.download(version, HOLDOUT, Path(scratch))
        frame = pl.read_parquet(folder / f"{HOLDOUT}.parquet")
    units = None
    if spec.unit is not None and spec.unit.name in frame.columns:
        units = frame[spec.unit.name].to_numpy()
    return inputs_of(frame, spec), frame[spec.target.name].to_numpy(), units


def _unseen(why: Sentence, *, passed: bool) -> GateDecision:
    """Return a decision for which no rows were looked at."""
    return GateDecision(passed, (why,), 0, None, None, None)


def _evaluate(
    promoter: Promoter, version: RegisteredVersion, champion: RegisteredVersion | None
) -> GateDecision:
    """Compare a version with the champion on the rows held out when it was trained.

    The champion may have learned from some of them, which is to its advantage only.
    """
    try:
        challenger = _predictor(promoter, version)
    except InvalidArtifactError as err:
        return _unseen(Sentence("it cannot be served: %(why)s", {"why": str(err)}), passed=False)
    if champion is None:
        return _unseen(Sentence("there was no champion"), passed=True)
    try:
        old = _predictor(promoter, champion)
    except InvalidArtifactError as err:
        why = Sentence("the champion cannot be served: %(why)s", {"why": str(err)})
        return _unseen(why, passed=True)
    try:
        rows, target, units = _held_out(promoter, version)
    except RegistryError as err:
        why = Sentence(
            "the rows that were held out from it, by which it is evaluated, cannot be had: %(why)s",
            {"why": str(err)},
        )
        return _unseen(why, passed=False)
    return compare(
        promoter.spec,
        rows,
        target,
        (version.version, score_rows(challenger, rows)),
        (champion.version, score_rows(old, rows)),
        rules=promoter.rules,
        units=units,
    )


def _evidence(gate: GateDecision) -> dict[str, Any]:
    def side(found: Side | None) -> dict[str, Any] | None:
        return None if found is None else asdict(found)

    return {
        "rows": gate.rows,
        "confidence": gate.confidence,
        "challenger": side(gate.challenger),
        "champion": side(gate.champion),
        REASONS: [*map(sentence_json, gate.reasons)],
    }


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _assign(
    promoter: Promoter, maker: DecisionMaker, version: RegisteredVersion, decision: Decision
) -> RecordedDecision:
    # Written first: where the alias cannot be moved, nothing of it stays in the ledger.
    recorded = maker.record(decision)
    promoter.registry.assign("champion", version)
    return recorded


def promote(
    promoter: Promoter,
    version: RegisteredVersion,
    *,
    who: str,
    why: str = "",
    force: bool = False,
    seen: Seen | None = None,
) -> RecordedDecision:
    """Make a version champion, if the gate lets it.

    Parameters
    ----------
    promoter
        Registry, ledger, rules.
    version
        The challenger.
    who, why
        For the ledger.
    force
        Whether to overrule the gate; a version that cannot be served is refused even so.
    seen
        The champion that who decides knows of; None: whichever it is.

    Returns
    -------
    RecordedDecision
        What was decided: ``kind`` is ``promotion`` or ``refusal``, ``why`` says the gate's reasons.

    Raises
    ------
    ChampionChangedError
        If the champion is another one than was seen; nothing has changed then.
    RegistryError, StorageError
        If MLflow or the ledger fails; nothing has changed then.
    """
    name = version.name
    with promoter.promotions.deciding(name) as maker:
        champion = promoter.registry.find_champion()
        if seen is not None:
            seen.check(champion)
        gate = _evaluate(promoter, version, champion)
        if force:
            _predictor(promoter, version)
        passed, tags = gate.passed or force, promoter.registry.tags(version)
        decision = Decision(
            name, version.version, "promotion" if passed else "refusal", who,
            joined(why, gate.reasons),
            previous=None if champion is None else champion.version,
            forced=force and not gate.passed, figures=_evidence(gate),
            data_sha256=tags.get(DATA_TAG), newest_receipt=_number(tags.get(NEWEST_RECEIPT_TAG)),
        )  # fmt: skip
        recorded = _assign(promoter, maker, version, decision) if passed else maker.record(decision)
        present(promoter.registry, version, champion, recorded)
    return recorded


def rollback(
    promoter: Promoter, to: str | None = None, *, who: str, why: str, seen: Seen | None = None
) -> RecordedDecision:
    """Make an earlier version champion again.

    Parameters
    ----------
    promoter
        Registry and ledger.
    to
        The version; the champion's predecessor when not given.
    who, why
        For the ledger.
    seen
        The champion that who decides knows of; None: whichever it is.

    Raises
    ------
    ChampionChangedError
        If the champion is another one than was seen; nothing has changed then.
    NoChampionError
        If there is no champion to roll back from.
    RegistryError
        If it has no predecessor, or there is no such version.
    InvalidArtifactError
        If that version cannot be served.
    """
    name = promoter.registry.name
    with promoter.promotions.deciding(name) as maker:
        champion = promoter.registry.resolve()
        if seen is not None:
            seen.check(champion)
        target = to or maker.predecessor(name, champion.version)
        if target is None:
            raise RegistryError(
                f"no version was champion before {name} version {champion.version}; name one: "
                "presagio rollback VERSION"
            )
        version = promoter.registry.version(target)
        _predictor(promoter, version)
        decision = Decision(
            name, version.version, "rollback", who, why, previous=champion.version,
            data_sha256=promoter.registry.tags(version).get(DATA_TAG),
        )  # fmt: skip
        recorded = _assign(promoter, maker, version, decision)
        present(promoter.registry, version, champion, recorded)
    return recorded
