"""Commands on what is kept: small files are put together, what is old is removed."""

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, FleetName, Home, print_json, progress, say
from presagio.jobs import compact as compaction
from presagio.jobs.database_cleaning import clean_databases
from presagio.jobs.retention import retain

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


def _in_words(found: dict[str, Any]) -> str:
    curated, answers = found["curated"], found["answers"]
    if found["dry_run"]:
        return (
            f"Curated rows: {curated['files']:,} small files with {curated['rows']:,} rows would "
            f"become {curated['compactions']:,} compactions.\nRecorded answers: "
            f"{answers['files']:,} files of {answers['days']:,} days would be put together."
        )
    return (
        f"Curated rows: {curated['files']:,} small files with {curated['rows']:,} rows are "
        f"{curated['objects']:,} objects now, {curated['skipped']:,} left as they are; "
        f"{found['removed']:,} parts of files put together earlier removed.\nRecorded answers: "
        f"{answers['files']:,} files with {answers['rows']:,} rows are {answers['objects']:,} "
        f"objects now, {answers['skipped']:,} left as they are."
    )


def compact(
    dry_run: DryRun = False,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put small files together: curated rows, recorded answers; each row counts once.

    A training reads many rows from a few objects much faster than from many small ones. Receipts
    stay: each row is still known by the file that it came in. Small files are removed
    PRESAGIO_COMPACT_KEEP_ORIGINALS_H hours later; of answers, those of days that are over, at once.
    The DAG compact does the same by its schedule.
    """
    parts = Parts(home, fleet)
    planned = compaction.plan(parts.settings, parts.intake)
    if dry_run:
        found = planned
    else:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        with progress(*columns, as_json=as_json) as bar:
            files = planned["curated"]["files"] + planned["answers"]["files"]
            task = bar.add_task("Files", total=files)
            found = compaction.compact(
                parts.settings, parts.intake, on_read=lambda read: bar.advance(task, read)
            )
    if as_json:
        print_json(found)
    else:
        say(_in_words(found))


def retention(
    dry_run: DryRun = False,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove what is older than the settings say; nothing that a model in use stands on.

    PRESAGIO_RETAIN_ARCHIVE_DAYS, _RECEIPTS_DAYS, _PREDICTIONS_DAYS, _SCORES_DAYS and _REPORTS_DAYS
    say for how long; without them everything stays. Originals stay that a model with an alias was
    trained on, that keep training from starting, that an open alarm stands on, or that are being
    filed. The DAG retention does the same by its schedule. Airflow's and MLflow's databases are
    cleaned by PRESAGIO_RETAIN_AIRFLOW_DAYS and PRESAGIO_RETAIN_MLFLOW_DAYS, where their addresses
    are known; `mlflow gc` has no dry run.
    """
    parts = Parts(home, fleet)
    found = retain(parts.settings, parts.intake, parts.reader, dry_run=dry_run)
    databases = clean_databases(parts.settings, dry_run=dry_run) if fleet is None else {}
    if as_json:
        print_json(found | {"databases": [*databases]})
        return
    verb = "would be removed" if dry_run else "removed"
    for name, removed in found.items():
        if name != "dry_run":
            setting = f"kept for ever (PRESAGIO_RETAIN_{name.upper()}_DAYS is not set)"
            say(f"{name}: {setting if removed is None else f'{removed:,} {verb}'}")
    for name in databases:
        say(f"database of {name}: {'can be cleaned' if dry_run else 'cleaned'}")
