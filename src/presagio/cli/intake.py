"""Commands on the intake: ingest, its checks and repairs, and the receipts."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table
from typer.core import TyperGroup

from presagio.cli.output import AsJson, Home, console, errors, print_json
from presagio.settings import load_settings

if TYPE_CHECKING:
    from presagio.ingest.filing import Intake
    from presagio.ingest.reading import CheckedFile
    from presagio.storage.ledger import Receipt

_TIMED_OUT = 4
_DIFFERENT = 5
_REFUSED = 6
_SHOWN_ROWS = 20

Files = Annotated[
    list[Path],
    typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV or Parquet files."),
]


class _UploadByDefault(TyperGroup):
    """``presagio ingest FILE`` is short for ``presagio ingest upload FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] != "--help" and self.get_command(ctx, args[0]) is None:
            args = ["upload", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_UploadByDefault,
    no_args_is_help=True,
    help="Put files of readings through the intake: presagio ingest FILE [--wait].",
)


def describe(receipt: "Receipt") -> dict[str, Any]:
    """Return a receipt as JSON."""
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


def _in_words(receipt: "Receipt") -> str:
    done = receipt.outcome
    if done.verdict == "duplicate":
        return f"the same bytes as receipt {done.duplicate_of}, nothing taken; receipt {receipt.id}"
    said = f"{done.verdict}, {done.rows_processed} of {done.rows_in} rows taken, "
    said += f"{done.rows_quarantined} in quarantine, receipt {receipt.id}"
    notes = [done.message, *done.warnings]
    return said + "".join(f"\n  {note}" for note in notes if note)


@app.command()
def upload(
    files: Files,
    wait: Annotated[bool, typer.Option(help="Wait until the watcher has filed each one.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each.")] = 120.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Upload files to the incoming prefix. Exit status 4: a wait ran out of time."""
    from presagio.ingest.reading import SUFFIXES, suffix_of  # noqa: PLC0415 - heavy imports
    from presagio.ingest.upload import upload, wait_for_receipt  # noqa: PLC0415

    for path in files:
        if suffix_of(path.name) is None:
            raise typer.BadParameter(f"{path}: the intake takes {', '.join(SUFFIXES)}")
    intake, late = open_home_intake(home), False
    uploads = [(path, upload(intake, path)) for path in files]
    for path, uploaded in uploads:
        receipt = wait_for_receipt(intake, uploaded, timeout_s=timeout) if wait else None
        late |= wait and receipt is None
        if as_json:
            body = describe(receipt) if receipt else None
            print_json({"file": path, "key": uploaded.key, "receipt": body})
        elif receipt is not None:
            console.print(f"{path}: {escape(_in_words(receipt))}", soft_wrap=True)
        elif wait:
            errors.print(f"{path}: not filed within {timeout:.0f} s; see: presagio receipts")
        else:
            console.print(f"{path}: uploaded as {uploaded.key}", soft_wrap=True)
    if late:
        raise typer.Exit(_TIMED_OUT)


def _print_checked(path: Path, checked: "CheckedFile") -> None:
    tally = checked.tally
    fault = checked.fault
    verdict = f"refused whole ({fault.reason})" if fault else "would be taken"
    console.print(
        f"{path}: {verdict}; {tally.rows - tally.rejected} of {tally.rows} rows are good",
        soft_wrap=True,
    )
    for note in [str(fault) if fault else "", *checked.warnings, *tally.examples]:
        if note:
            console.print(f"  {escape(note)}", soft_wrap=True)
    if tally.rejected > len(tally.examples):
        console.print(f"  … and {tally.rejected - len(tally.examples)} more bad rows")


@app.command()
def check(files: Files, home: Home = None, as_json: AsJson = False) -> None:
    """Check files on this machine as the intake would, without a stack. Exit 6: one is refused."""
    from presagio.errors import UnreadableFileError  # noqa: PLC0415 - heavy imports
    from presagio.ingest.reading import check_file, suffix_of  # noqa: PLC0415
    from presagio.machine.spec import load_spec  # noqa: PLC0415
    from presagio.orchestration.sweep import intake_limits  # noqa: PLC0415

    settings, refused = load_settings(home), False
    spec, limits = load_spec(settings.machine_spec), intake_limits(settings)
    for path in files:
        try:
            with path.open("rb") as file:
                suffix = suffix_of(path.name) or ""
                checked = check_file(file, spec, suffix=suffix, limits=limits)
        except UnreadableFileError as fault:
            refused = True
            if as_json:
                print_json({"file": path, "refused": fault.reason, "message": str(fault)})
            else:
                console.print(f"{path}: refused whole ({fault.reason}): {escape(str(fault))}")
            continue
        refused |= checked.fault is not None
        if not as_json:
            _print_checked(path, checked)
            continue
        print_json(
            {
                "file": path,
                "refused": checked.fault.reason if checked.fault else None,
                "message": str(checked.fault) if checked.fault else None,
                "rows_in": checked.tally.rows,
                "rows_rejected": checked.tally.rejected,
                "reasons": checked.tally.reasons,
                "notes": checked.notes,
                "warnings": checked.warnings,
                "rejected": checked.rejected.head(_SHOWN_ROWS).to_dicts(),
            }
        )
    if refused:
        raise typer.Exit(_REFUSED)


@app.command()
def sweep(home: Home = None, as_json: AsJson = False) -> None:
    """File everything that waits below the incoming prefix, here and now, without Airflow."""
    from dataclasses import asdict, replace  # noqa: PLC0415

    from presagio.ingest.filing import Progress as FileProgress  # noqa: PLC0415 - heavy imports
    from presagio.orchestration.sweep import sweep as sweep_all  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=errors, transient=True, disable=as_json) as bar:
        tasks: dict[str, Any] = {}

        def show(progress: FileProgress) -> None:
            if progress.key not in tasks:
                tasks[progress.key] = bar.add_task(progress.key, total=progress.total_bytes)
            bar.update(tasks[progress.key], completed=progress.done_bytes)

        def tell(receipt: "Receipt") -> None:
            if receipt.identity.key in tasks:
                bar.remove_task(tasks.pop(receipt.identity.key))
            if as_json:
                print_json(describe(receipt))
            else:
                said = f"{receipt.identity.key}: {_in_words(receipt)}"
                console.print(escape(said), soft_wrap=True)

        intake = replace(open_home_intake(home), on_progress=show)
        done = sweep_all(intake, run_id=f"sweep by {getpass.getuser()}", on_filed=tell)
    if not as_json:
        counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in asdict(done).items())
        console.print(counts)


@app.command()
def verify(
    deep: Annotated[bool, typer.Option(help="Read every object and compare its SHA-256.")] = False,
    mend: Annotated[bool, typer.Option(help="Put right what can be; nothing is lost.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare ledger and buckets. Exit status 5: differences are left."""
    from dataclasses import asdict  # noqa: PLC0415

    from presagio.ingest.verify import verify as compare  # noqa: PLC0415 - heavy imports

    report = compare(open_home_intake(home), deep=deep, mend=mend)
    if as_json:
        print_json(asdict(report) | {"is_clean": report.is_clean})
    else:
        for difference in report.differences:
            state = "mended" if difference.mended else difference.kind
            said = f"{state}: {difference.key}: {difference.message}"
            console.print(escape(said), soft_wrap=True)
        console.print(
            f"{report.receipts} receipts, {report.objects} objects: {report.rows_in} rows in = "
            f"{report.rows_processed} processed + {report.rows_quarantined} in quarantine; "
            f"{sum(not d.mended for d in report.differences)} differences left",
            soft_wrap=True,
        )
    if not report.is_clean:
        raise typer.Exit(_DIFFERENT)


@app.command()
def release(
    receipt: Annotated[int, typer.Argument(help="Number of the receipt.")],
    why: Annotated[str, typer.Option(help="Why training may go on without this file.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let training go on although a file was refused whole; who and why go into the ledger."""
    who = getpass.getuser()
    released = open_home_intake(home).ledger.release(receipt, who=who, why=why)
    if released is None:
        raise typer.BadParameter(f"there is no receipt {receipt}; see: presagio receipts")
    if as_json:
        print_json({"receipt": receipt, "key": released.identity.key, "who": who, "why": why})
        return
    console.print(f"receipt {receipt} ({released.identity.key}) no longer blocks training")


def _print_one(receipt: "Receipt") -> None:
    table = Table(show_header=False, box=None)
    for name, value in describe(receipt).items():
        if value not in (None, {}, [], ()):
            table.add_row(name, escape(str(value)))
    console.print(table)


def receipts(
    number: Annotated[int | None, typer.Argument(help="One receipt, with everything.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
    key: Annotated[str | None, typer.Option(help="Those of one incoming key.")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Those that are processed, quarantined or duplicate.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of the files: counts, reasons, hashes, run ids."""
    ledger = open_home_intake(home).ledger
    found = ledger.receipts(number=number, key=key, verdict=verdict, limit=limit)
    if number is not None and not found:
        raise typer.BadParameter(f"there is no receipt {number}")
    if as_json:
        for receipt in found:
            print_json(describe(receipt))
        return
    if number is not None:
        _print_one(found[0])
        return
    table = Table()
    for title in ("Receipt", "Key", "Verdict", "Rows", "Taken", "Refused", "Reasons", "SHA-256"):
        folded = title in ("Key", "Reasons")
        table.add_column(title, overflow="fold" if folded else "crop", no_wrap=not folded)
    for receipt in found:
        done = receipt.outcome
        reasons = ", ".join(f"{reason} {count}" for reason, count in done.reasons.items())
        if done.duplicate_of is not None:
            reasons = f"same bytes as {done.duplicate_of}"
        counts = (done.rows_in, done.rows_processed, done.rows_quarantined)
        cells = [receipt.id, escape(receipt.identity.key), done.verdict, *counts, reasons]
        table.add_row(*map(str, cells), receipt.identity.sha256[:8])
    console.print(table)


def register(root: typer.Typer) -> None:
    """Add the commands to the command line."""
    root.add_typer(app, name="ingest")
    root.command()(receipts)
