"""The command that scores files in bulk: score."""

from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

from presagio.cli.composition import Parts
from presagio.cli.engines import EngineName, EngineOption, RayAddress, opened_engine
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, FleetName, Home, print_json, progress, say, warn
from presagio.jobs import score as scoring
from presagio.jobs.score import Planned, ScoringSummary
from presagio.scoring.engine import Engine
from presagio.settings import Settings

_STEPS = {"histories": "Read histories", "scores": "Score"}
_SHOWN_FAULTS = 20


def _run(planned: Planned, engine: Engine, settings: Settings, *, as_json: bool) -> ScoringSummary:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with progress(*columns, TimeRemainingColumn(), as_json=as_json) as bar:
        steps = [step for step in _STEPS if planned.in_order or step == "scores"]
        tasks = {step: bar.add_task(_STEPS[step], total=planned.size) for step in steps}

        def show(step: str, size: int) -> None:
            bar.advance(tasks[step], size)

        return scoring.score(planned, engine, settings, show)


def _print(summary: ScoringSummary, to: str) -> None:
    for name, fault in [*summary.faults.items()][:_SHOWN_FAULTS]:
        warn(f"{name}: {fault}")
    if len(summary.faults) > _SHOWN_FAULTS:
        warn(f"… and {len(summary.faults) - _SHOWN_FAULTS} more; --json names them all")
    counts = summary.counts
    say(
        f"{summary.files} files: {summary.files_scored} scored, {summary.files_skipped} done "
        f"before, {summary.files_failed} failed; {summary.others} of other kinds left as they are"
    )
    say(
        f"{counts.rows:,} rows: {counts.scored:,} scored, {counts.alarms:,} of them alarms; "
        f"{counts.rejected:,} not scored"
    )
    for reason, count in sorted(counts.reasons.items()):
        say(f"  {reason}: {count:,}")
    say(f"Scored by {summary.model} version {summary.version}, in {to}")


def score(
    source: Annotated[
        str,
        typer.Argument(help="Where the files are: s3://BUCKET/PREFIX, a folder or one file. CSV "
                       "and Parquet files are scored."),
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="PLACE", help="Where results go: s3://BUCKET/PREFIX or a "
                     "folder. FILE becomes FILE.scored.parquet; rows that cannot be scored go, "
                     "with their reason, to FILE.rejected.parquet."),
    ],
    version: Annotated[
        str | None, typer.Option(help="The version that scores; the champion when not given.")
    ] = None,
    engine: EngineOption = EngineName.local,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Files at a time; one a core by default.")
    ] = None,
    ray_address: RayAddress = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave out files whose result is there, by the same version "
                     "and of the same bytes."),
    ] = False,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Score files of readings in bulk, with the champion or any other version.

    Where the machine spec has windows, what is known of a unit goes from one file to the next, in
    the order of their earliest readings: the scores are those of all files as one. A file that
    cannot be read is said, the others are scored, and the command ends with 1.
    """
    parts = Parts(home, fleet)
    planned = scoring.plan_scoring(
        parts.fleet, parts.reader, source, to, version=version, resume=resume
    )
    settings = parts.settings
    with opened_engine(
        engine, settings, workers, ray_address, memory_bytes=settings.reader_memory_bytes
    ) as opened:
        summary = _run(planned, opened, settings, as_json=as_json)
    if as_json:
        print_json(scoring.as_json(summary) | {"to": planned.run.to})
    else:
        _print(summary, planned.run.to)
    leave_unless_done(ExitStatus.FAILED if summary.files_failed else ExitStatus.DONE)
