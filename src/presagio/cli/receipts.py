"""The command that lists receipts, and how a receipt is shown."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presagio.cli.exit_status import ExitStatus
from presagio.cli.output import AsJson, Home, local_time, print_fields, print_json, print_table
from presagio.cli.tables import Column
from presagio.errors import NotFoundError
from presagio.settings import load_settings

if TYPE_CHECKING:
    from presagio.ingest.filing import Intake
    from presagio.storage.receipt import Receipt


def describe(receipt: "Receipt") -> dict[str, Any]:
    """Return a receipt as JSON."""
    return {
        "id": receipt.id,
        **vars(receipt.identity),
        **vars(receipt.outcome),
        "run_id": receipt.run_id,
        "created_at": receipt.created_at,
    }


def open_home_intake(home: Path | None) -> "Intake":
    """Open the intake of the stack in a home folder."""
    from presagio.ingest.opening import open_intake  # noqa: PLC0415 - heavy imports

    return open_intake(load_settings(home))


def in_words(receipt: "Receipt") -> str:
    """Say what became of a file."""
    done = receipt.outcome
    if done.verdict == "duplicate":
        return f"the same bytes as receipt {done.duplicate_of}, nothing taken; receipt {receipt.id}"
    text = f"{done.verdict}, {done.rows_processed} of {done.rows_in} rows taken, "
    text += f"{done.rows_quarantined} in quarantine, receipt {receipt.id}"
    notes = [done.message, *done.warnings]
    return text + "".join(f"\n  {note}" for note in notes if note)


def receipt_status(receipt: "Receipt | None") -> ExitStatus:
    """Return what a file adds to the exit status; None where it was waited for in vain."""
    if receipt is None:
        return ExitStatus.TIMED_OUT
    refused = receipt.outcome.verdict == "quarantined"
    return ExitStatus.QUARANTINED if refused else ExitStatus.DONE


class VerdictName(StrEnum):
    """What became of a file."""

    processed = "processed"
    quarantined = "quarantined"
    duplicate = "duplicate"


_RECEIPTS = (
    Column("Receipt", right=True), Column("Filed", "words"), Column("Key", "middle", least=16),
    Column("Verdict", styles={"quarantined": "yellow"}), Column("Rows", right=True),
    Column("Taken", right=True, optional=True), Column("Refused", right=True),
    Column("Reasons", "words"), Column("SHA-256", "middle", most=12, optional=True),
)  # fmt: skip


def _receipt_row(receipt: "Receipt") -> tuple[Any, ...]:
    done = receipt.outcome
    reasons = ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in done.reasons.items())
    if done.duplicate_of is not None:
        reasons = f"same bytes as receipt {done.duplicate_of}"
    return (
        receipt.id, local_time(receipt.created_at), receipt.identity.key, done.verdict,
        done.rows_in, done.rows_processed, done.rows_quarantined, reasons, receipt.identity.sha256,
    )  # fmt: skip


def receipts(
    number: Annotated[
        int | None, typer.Argument(help="Number of one receipt, to see all of it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    key: Annotated[
        str | None, typer.Option(help="Those of this key, such as incoming/FILE.csv.")
    ] = None,
    verdict: Annotated[
        VerdictName | None,
        typer.Option(
            metavar="VERDICT", help="Those with this verdict: processed, quarantined or duplicate."
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List what became of the files: dates, counts, reasons, hashes."""
    ledger = open_home_intake(home).ledger
    found = ledger.receipts(number=number, key=key, verdict=verdict, limit=limit)
    if number is not None and not found:
        raise NotFoundError(f"there is no receipt {number}; see: presagio receipts")
    if as_json:
        for receipt in found:
            print_json(describe(receipt))
        return
    if number is not None:
        print_fields(describe(found[0]))
    else:
        print_table(_RECEIPTS, list(map(_receipt_row, found)))


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(receipts)
