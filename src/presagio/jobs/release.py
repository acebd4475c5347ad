"""Let training go on without a file that was refused whole, and write down who did so."""

from presagio.ingest import releasing
from presagio.ingest.filing import Intake
from presagio.ingest.releasing import Release
from presagio.storage.audit import AuditLog


def release_file(
    intake: Intake, audit: AuditLog, number: int, *, who: str, why: str, scope: str = "operate"
) -> Release:
    """Release a file: see :func:`presagio.ingest.releasing.release`; the audit log knows of it.

    Parameters
    ----------
    intake
        Where the ledger is.
    audit
        The audit log.
    number
        The file's receipt.
    who, why, scope
        For ledger and audit log.

    Raises
    ------
    NotFoundError
        If there is no such receipt.
    StorageError
        If the database cannot be reached.
    """
    done = releasing.release(intake, number, who=who, why=why)
    if done.released:
        audit.add(
            who=who, scope=scope, action="file.release", target=f"receipt {number}", why=why,
            detail={"key": done.receipt.identity.key},
        )  # fmt: skip
    return done
