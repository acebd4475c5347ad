"""The command that lists receipts."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import (
    AsJson,
    FleetName,
    Home,
    local_time,
    print_fields,
    print_json,
    print_table,
)
from presagio.cli.receipt_view import describe_receipt
from presagio.cli.tables import Column
from presagio.errors import NotFoundError
from presagio.storage.ledger import Ledger
from presagio.storage.receipt import Receipt


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


def _receipt_row(receipt: Receipt) -> tuple[Any, ...]:
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
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List what became of the files: dates, counts, reasons, hashes."""
    parts = Parts(home, fleet)
    ledger = Ledger(parts.database, parts.settings.fleet)
    found = ledger.receipts(number=number, key=key, verdict=verdict, limit=limit)
    if number is not None and not found:
        raise NotFoundError(f"there is no receipt {number}; see: presagio receipts")
    if as_json:
        for receipt in found:
            print_json(describe_receipt(receipt))
        return
    if number is not None:
        print_fields(describe_receipt(found[0]))
    else:
        print_table(_RECEIPTS, list(map(_receipt_row, found)))
