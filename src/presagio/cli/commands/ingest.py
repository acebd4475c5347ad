"""Commands on the intake: ingest, its checks and repairs."""

import getpass
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn

from presagio.cli.composition import Parts
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.index import first_of
from presagio.cli.output import AsJson, FleetName, Home, print_json, progress, say
from presagio.cli.receipt_view import describe_receipt, in_words, receipt_status
from presagio.cli.sending import check_suffixes, send_files
from presagio.errors import DataError, UnreadableFileError
from presagio.ingest.again import check_again, outdated, require_receipts
from presagio.ingest.checking import CheckedFile, check_file, suffix_of
from presagio.ingest.filing import Progress
from presagio.ingest.opening import intake_limits
from presagio.ingest.releasing import release as release_file
from presagio.ingest.verify import verify as compare
from presagio.jobs import file as filing
from presagio.storage.receipt import Receipt

_SHOWN_ROWS = 20

Files = Annotated[
    list[Path],
    typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, Parquet or Excel files."),
]


def upload(
    files: Files,
    wait: Annotated[bool, typer.Option(help="Wait until the watcher has filed each one.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each.")] = 120.0,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Upload files to the incoming prefix; `presagio ingest FILE` is short for it."""
    check_suffixes(files)
    intake = Parts(home, fleet).intake
    met = send_files(intake, files, timeout_s=timeout if wait else None, as_json=as_json)
    leave_unless_done(first_of("ingest upload", met))


def _print_checked(path: Path, checked: CheckedFile) -> None:
    tally = checked.tally
    fault = checked.fault
    verdict = f"refused whole ({fault.reason})" if fault else "would be taken"
    say(f"{path}: {verdict}; {tally.rows - tally.rejected} of {tally.rows} rows are good")
    for note in [str(fault) if fault else "", *checked.warnings, *tally.examples]:
        if note:
            say(f"  {note}")
    if tally.rejected > len(tally.examples):
        say(f"  … and {tally.rejected - len(tally.examples)} more bad rows")


def check(
    files: Files, fleet: FleetName = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Check files on this machine as the intake would, without a stack."""
    parts, refused = Parts(home, fleet), False
    spec, limits = parts.spec, intake_limits(parts.settings)
    for path in files:
        try:
            limits.require_size(str(path), path.stat().st_size)
            with path.open("rb") as file:
                suffix = suffix_of(path.name) or ""
                checked = check_file(file, spec, suffix=suffix, limits=limits)
        except UnreadableFileError as err:
            refused = True
            if as_json:
                print_json({"file": path, "refused": err.reason, "message": str(err)})
            else:
                say(f"{path}: refused whole ({err.reason}): {err}")
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
    leave_unless_done(ExitStatus.QUARANTINED if refused else ExitStatus.DONE)


def sweep(fleet: FleetName = None, home: Home = None, as_json: AsJson = False) -> None:
    """File everything that waits below the incoming prefix, here and now, without Airflow."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with progress(*columns, as_json=as_json) as bar:
        tasks: dict[str, Any] = {}

        def show(step: Progress) -> None:
            if step.key not in tasks:
                tasks[step.key] = bar.add_task(step.key, total=step.total_bytes)
            bar.update(tasks[step.key], completed=step.done_bytes)

        def tell(receipt: Receipt) -> None:
            if receipt.identity.key in tasks:
                bar.remove_task(tasks.pop(receipt.identity.key))
            if as_json:
                print_json(describe_receipt(receipt))
            else:
                say(f"{receipt.identity.key}: {in_words(receipt)}")

        intake = replace(Parts(home, fleet).intake, on_progress=show)
        done = filing.sweep(intake, run_id=f"sweep by {getpass.getuser()}", on_filed=tell)
    if not as_json:
        counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in asdict(done).items())
        say(counts)
    refused = done.files_quarantined > 0
    leave_unless_done(ExitStatus.QUARANTINED if refused else ExitStatus.DONE)


def verify(
    deep: Annotated[bool, typer.Option(help="Read every object and compare its SHA-256.")] = False,
    repair: Annotated[
        bool, typer.Option(help="Repair what can be repaired; nothing is lost.")
    ] = False,
    former_name: Annotated[bool, typer.Option("--mend/--no-mend", hidden=True)] = False,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare ledger and buckets, row by row and object by object."""
    report = compare(Parts(home, fleet).intake, deep=deep, repair=repair or former_name)
    if as_json:
        # `mended` is what `repaired` was called before.
        found = [asdict(each) | {"mended": each.repaired} for each in report.differences]
        print_json(asdict(report) | {"differences": found, "is_clean": report.is_clean})
    else:
        for difference in report.differences:
            state = "repaired" if difference.repaired else difference.kind
            say(f"{state}: {difference.key}: {difference.message}")
        say(
            f"{report.receipts} receipts, {report.objects} objects: {report.rows_in} rows in = "
            f"{report.rows_processed} processed + {report.rows_quarantined} in quarantine; "
            f"{sum(not d.repaired for d in report.differences)} differences left"
        )
    leave_unless_done(ExitStatus.DONE if report.is_clean else ExitStatus.DIFFERENCES)


def again(
    receipts: Annotated[
        list[int] | None, typer.Argument(help="Numbers of receipts; else all that are outdated.")
    ] = None,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check filed files again, as after a change of the machine spec; their receipts follow.

    The original bytes are checked under the machine spec of today, and what comes of them takes
    the place of what did. Without numbers it takes every file that was checked under another one.
    """
    intake, met, failed = Parts(home, fleet).intake, set[ExitStatus](), False
    if receipts:
        require_receipts(intake, receipts)
    chosen = receipts or outdated(intake)
    with progress(as_json=as_json) as bar:
        task = bar.add_task("Checking", total=len(chosen))
        for done in check_again(intake, chosen):
            bar.advance(task)
            key, after = done.before.identity.key, done.after
            if as_json:
                print_json({
                    "before": describe_receipt(done.before), "message": done.message,
                    "after": None if after is None else describe_receipt(after),
                })  # fmt: skip
            else:
                say(f"{key}: {done.message if after is None else in_words(after)}")
            if after is not None:
                met.add(receipt_status(after))
            failed |= after is None and done.before.outcome.verdict != "duplicate"
    if not chosen and not as_json:
        say("Every file was checked under the machine spec of today.")
    leave_unless_done(ExitStatus.FAILED if failed else first_of("ingest again", met))


def release(
    receipt: Annotated[int, typer.Argument(help="Number of the receipt.")],
    why: Annotated[str, typer.Option(help="Why training may go on without this file.")],
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let training go on although a file was refused whole; who and why go into the ledger."""
    who, parts = getpass.getuser(), Parts(home, fleet)
    done = release_file(parts.intake, receipt, who=who, why=why)
    if as_json:
        print_json({
            "receipt": receipt, "key": done.receipt.identity.key, "who": who, "why": why,
            "released": done.released, "note": str(done.note),
        })  # fmt: skip
    elif done.blocked:
        say(str(done.note))
    if not done.blocked:
        raise DataError(done.note)
