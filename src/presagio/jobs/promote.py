"""Promote: make a version champion if the gate lets it, or the one before it again."""

from presagio.lifecycle import promotion
from presagio.lifecycle.promotion import Promoter, Seen
from presagio.storage.audit import AuditLog
from presagio.storage.promotions import RecordedDecision

SCOPE = "admin"


def promote(
    promoter: Promoter, version: str | None = None, *, who: str, why: str, force: bool = False,
    seen: Seen | None = None, audit: AuditLog | None = None,
) -> RecordedDecision:  # fmt: skip
    """Compare a version with the champion, and make it champion if the gate lets it.

    Parameters
    ----------
    promoter
        Registry and ledger of decisions.
    version
        Number of the version; the challenger when not given.
    who, why
        For the ledger.
    force
        Whether to overrule the gate; a version that cannot be served is refused even so.
    seen
        The champion that who decides knows of; None: whichever it is.
    audit
        Where it is written that a person asked for it; None: nobody did.

    Raises
    ------
    ChampionChangedError
        If the champion is another one than was seen; nothing has changed then.
    NotFoundError
        If there is no such version.
    RegistryError, StorageError
        If MLflow or the ledger fails, or there is no challenger; nothing has changed then.
    """
    registry = promoter.registry
    candidate = registry.resolve("challenger") if version is None else registry.version(version)
    recorded = promotion.promote(
        promoter, candidate, who=who, why=why, force=force, seen=seen
    )  # fmt: skip
    _write_down(audit, recorded, who, why)
    return recorded


def roll_back(
    promoter: Promoter, version: str | None = None, *, who: str, why: str,
    seen: Seen | None = None, audit: AuditLog | None = None,
) -> RecordedDecision:  # fmt: skip
    """Make an earlier version champion again, the champion's predecessor when none is given.

    ``seen`` and ``audit`` are as of :func:`promote`.

    Raises
    ------
    ChampionChangedError, NoChampionError, RegistryError, InvalidArtifactError
        As of :func:`presagio.lifecycle.promotion.rollback`.
    """
    recorded = promotion.rollback(promoter, version, who=who, why=why, seen=seen)
    _write_down(audit, recorded, who, why)
    return recorded


def _write_down(audit: AuditLog | None, recorded: RecordedDecision, who: str, why: str) -> None:
    """Write who asked for a decision; the ledger of promotions has what was decided, and why."""
    if audit is None:
        return
    decision = recorded.decision
    audit.add(
        who=who, scope=SCOPE, action=f"model.{decision.kind}",
        target=f"{decision.model} version {decision.version}", why=why,
        detail={"decision": recorded.id, "forced": decision.forced, "previous": decision.previous},
    )  # fmt: skip
