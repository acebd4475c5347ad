"""One round of the intake: file everything that lies below the incoming prefix."""

import logging

from presagio.ingest.filing import Intake, file_object
from presagio.ingest.incoming import incoming_keys
from presagio.machine.spec import load_spec
from presagio.settings import Prefixes, Settings, load_settings
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger, Receipt
from presagio.storage.objects import open_store

_log = logging.getLogger(__name__)


def open_intake(settings: Settings, prefixes: Prefixes | None = None) -> Intake:
    """Open store and ledger as the settings say; ``prefixes`` override where to read and write."""
    return Intake(
        open_store(settings),
        Ledger(open_database(settings)),
        load_spec(settings.machine_spec),
        prefixes or settings.prefixes,
    )


def sweep(intake: Intake, *, run_id: str | None = None) -> list[Receipt]:
    """File every CSV file below the incoming prefix.

    A file that cannot be read goes to quarantine and the round goes on.

    Parameters
    ----------
    intake
        Where from, where to, and the machine spec.
    run_id
        Who does it, for the receipts.

    Returns
    -------
    list of Receipt
        One a file.

    Raises
    ------
    StorageError
        If store or ledger fail; what was not filed yet waits for the next round.
    """
    receipts = []
    for key in list(incoming_keys(intake.store, intake.prefixes)):
        receipt = file_object(intake, key, run_id=run_id)
        if receipt is not None:
            done = receipt.outcome
            _log.info(
                "%s: %s, %d of %d rows taken, receipt %d",
                key, done.verdict, done.rows_processed, done.rows_in, receipt.id,
            )  # fmt: skip
            receipts.append(receipt)
    return receipts


def sweep_prefixes(prefixes: Prefixes, *, run_id: str | None = None) -> dict[str, int]:
    """Do one round as the settings in the environment say; what the DAG's task calls.

    Returns
    -------
    dict
        Counts of ``files``, ``rows_processed``, ``rows_quarantined``, ``files_quarantined``.
    """
    receipts = sweep(open_intake(load_settings(), prefixes), run_id=run_id)
    return {
        "files": len(receipts),
        "files_quarantined": sum(r.outcome.verdict == "quarantined" for r in receipts),
        "rows_processed": sum(r.outcome.rows_processed for r in receipts),
        "rows_quarantined": sum(r.outcome.rows_quarantined for r in receipts),
    }
