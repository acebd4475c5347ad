"""Commands on what is kept: small files are put together, what is old is removed."""

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, FleetName, Home, print_json, progress, say
from presagio.jobs import compact as compaction
from presagio.jobs.retention import refuse_deleted_runs, retain
from presagio.registry.reader import open_reader
from presagio.stack.cleaning import clean, cleanings
from presagio.stack.layout import Layout
from presagio.stack.state import is_running
from presagio.storage.fleets import read_fleets

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
    filed. The DAG retention does the same by
    its schedule. Where a stack without Docker runs here, Airflow's and MLflow's databases are
    cleaned too: PRESAGIO_RETAIN_AIRFLOW_DAYS, PRESAGIO_RETAIN_MLFLOW_DAYS.
    """
    parts = Parts(home, fleet)
    found = retain(parts.settings, parts.intake, parts.reader, dry_run=dry_run)
    databases = _clean_databases(parts, dry_run=dry_run) if fleet is None else []
    if as_json:
        print_json(found | {"databases": databases})
        return
    verb = "would be removed" if dry_run else "removed"
    for name, removed in found.items():
        if name != "dry_run":
            setting = f"kept for ever (PRESAGIO_RETAIN_{name.upper()}_DAYS is not set)"
            say(f"{name}: {setting if removed is None else f'{removed:,} {verb}'}")
    for name in databases:
        say(f"database of {name}: {'can be cleaned' if dry_run else 'cleaned'}")


def _clean_databases(parts: Parts, *, dry_run: bool) -> list[str]:
    """Clean the databases of a stack that runs here; return whose.

    Raises
    ------
    DataError
        If somebody has deleted the run of a model in use: it would be gone for good.
    """
    layout = Layout(parts.settings.home)
    if not is_running(layout):
        return []
    found = cleanings(parts.settings, layout, dry_run=dry_run)
    for one in found:
        if one.name == "mlflow":
            for fleet in read_fleets(parts.settings, parts.intake.store).by_name.values():
                refuse_deleted_runs(open_reader(fleet.settings))
        clean(one)
    return [one.name for one in found]
