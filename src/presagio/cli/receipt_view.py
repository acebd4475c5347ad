"""How a receipt is shown."""

from typing import Any

from presagio.cli.exit_status import ExitStatus
from presagio.storage.receipt import Receipt


def describe_receipt(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as JSON."""
    return {
        "id": receipt.id,
        "fleet": receipt.fleet or None,
        **vars(receipt.identity),
        **vars(receipt.outcome),
        "run_id": receipt.run_id,
        "created_at": receipt.created_at,
    }


def in_words(receipt: Receipt) -> str:
    """Describe what became of a file."""
    done = receipt.outcome
    if done.verdict == "duplicate":
        return f"the same bytes as receipt {done.duplicate_of}, nothing taken; receipt {receipt.id}"
    text = f"{done.verdict}, {done.rows_processed} of {done.rows_in} rows taken, "
    text += f"{done.rows_quarantined} in quarantine, receipt {receipt.id}"
    notes = [done.message, *done.warnings]
    return text + "".join(f"\n  {note}" for note in notes if note)


def receipt_status(receipt: Receipt | None) -> ExitStatus:
    """Return what a file adds to the exit status; None where it was waited for in vain."""
    if receipt is None:
        return ExitStatus.TIMED_OUT
    refused = receipt.outcome.verdict == "quarantined"
    return ExitStatus.QUARANTINED if refused else ExitStatus.DONE
