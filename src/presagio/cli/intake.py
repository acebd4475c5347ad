"""Commands on the intake: ingest, receipts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from presagio.cli.output import AsJson, Home, console, errors, print_json
from presagio.settings import load_settings

if TYPE_CHECKING:
    from presagio.ingest.filing import Intake
    from presagio.storage.ledger import Receipt

_TIMED_OUT = 4


def _describe(receipt: "Receipt") -> dict[str, Any]:
    return {
        "id": receipt.id,
        **vars(receipt.identity),
        **vars(receipt.outcome),
        "run_id": receipt.run_id,
        "created_at": receipt.created_at.isoformat(),
    }


def open_home_intake(home: Path | None) -> "Intake":
    """Open the intake of the stack in a home folder."""
    from presagio.orchestration.sweep import open_intake  # noqa: PLC0415 - heavy imports

    return open_intake(load_settings(home))


def ingest(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV files.")
    ],
    wait: Annotated[bool, typer.Option(help="Wait until the watcher has filed each one.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each.")] = 120.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Upload CSV files to the incoming prefix. Exit status 4: a wait ran out of time."""
    from presagio.ingest.upload import upload, wait_for_receipt  # noqa: PLC0415 - heavy imports

    intake, late = open_home_intake(home), False
    uploads = [(path, upload(intake, path)) for path in files]
    for path, uploaded in uploads:
        receipt = wait_for_receipt(intake, uploaded, timeout_s=timeout) if wait else None
        late |= wait and receipt is None
        if as_json:
            body = _describe(receipt) if receipt else None
            print_json({"file": path, "key": uploaded.key, "receipt": body})
        elif receipt is not None:
            done = receipt.outcome
            console.print(
                f"{path}: {done.verdict}, {done.rows_processed} of {done.rows_in} rows taken, "
                f"{done.rows_quarantined} in quarantine, receipt {receipt.id}",
                soft_wrap=True,
            )
        elif wait:
            errors.print(f"{path}: not filed within {timeout:.0f} s; see: presagio receipts")
        else:
            console.print(f"{path}: uploaded as {uploaded.key}", soft_wrap=True)
    if late:
        raise typer.Exit(_TIMED_OUT)


def receipts(
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of the files: counts, reasons, hashes."""
    found = open_home_intake(home).ledger.receipts(limit=limit)
    if as_json:
        for receipt in found:
            print_json(_describe(receipt))
        return
    table = Table()
    for title in ("Receipt", "Key", "Verdict", "Rows", "Taken", "Refused", "Reasons", "SHA-256"):
        folded = title in ("Key", "Reasons")
        table.add_column(title, overflow="fold" if folded else "crop", no_wrap=not folded)
    for receipt in found:
        done = receipt.outcome
        reasons = ", ".join(f"{reason} {count}" for reason, count in done.reasons.items())
        counts = (done.rows_in, done.rows_processed, done.rows_quarantined)
        cells = [receipt.id, receipt.identity.key, done.verdict, *counts, reasons]
        table.add_row(*map(str, cells), receipt.identity.sha256[:8])
    console.print(table)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(ingest)
    app.command()(receipts)
