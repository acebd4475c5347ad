"""Promote: make a version champion if the gate lets it, or the one before it again."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

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
    target, detail = f"{candidate.name} version {candidate.version}", {"force": force}
    with _written_down(audit, "model.promote", target, who, why, detail):
        return promotion.promote(promoter, candidate, who=who, why=why, force=force, seen=seen)


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
    target = promoter.registry.name
    target += "" if version is None else f" version {version}"
    with _written_down(audit, "model.rollback", target, who, why):
        return promotion.rollback(promoter, version, who=who, why=why, seen=seen)


def _written_down(
    audit: AuditLog | None, action: str, target: str, who: str, why: str,
    detail: Mapping[str, object] | None = None,
) -> AbstractContextManager[object]:  # fmt: skip
    """Write who asks for a decision; the ledger of promotions has what was decided, and why."""
    if audit is None:
        return nullcontext()
    return audit.change(
        who=who, scope=SCOPE, action=action, target=target, why=why, detail=detail
    )  # fmt: skip
