"""Promote: make a version champion if the gate lets it, or the one before it again."""

from presagio.lifecycle import promotion
from presagio.lifecycle.promotion import Promoter
from presagio.storage.promotions import RecordedDecision


def promote(
    promoter: Promoter, version: str | None = None, *, who: str, why: str, force: bool = False
) -> RecordedDecision:
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

    Raises
    ------
    NotFoundError
        If there is no such version.
    RegistryError, StorageError
        If MLflow or the ledger fails, or there is no challenger; nothing has changed then.
    """
    registry = promoter.registry
    candidate = registry.resolve("challenger") if version is None else registry.version(version)
    return promotion.promote(promoter, candidate, who=who, why=why, force=force)


def roll_back(
    promoter: Promoter, version: str | None = None, *, who: str, why: str
) -> RecordedDecision:
    """Make an earlier version champion again, the champion's predecessor when none is given.

    Raises
    ------
    NoChampionError, RegistryError, InvalidArtifactError
        As of :func:`presagio.lifecycle.promotion.rollback`.
    """
    return promotion.rollback(promoter, version, who=who, why=why)
