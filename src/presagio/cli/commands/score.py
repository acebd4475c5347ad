"""The command that scores files in bulk: score."""

import time
from enum import StrEnum
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)

from presagio.cli.composition import Parts
from presagio.cli.engines import EngineName, RayAddress, opened_engine
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, FleetName, Home, print_json, progress, say, warn
from presagio.errors import StackError, StorageError
from presagio.jobs import score as scoring
from presagio.jobs.airflow_runs import AirflowRuns
from presagio.jobs.score import Planned, ScoringSummary
from presagio.jobs.score_batches import Batches, require_store
from presagio.scoring.engine import Engine
from presagio.settings import Settings

_STEPS = {"histories": "Read histories", "scores": "Score"}
_SHOWN_FAULTS = 20
_LOOK_S = 2.0


class ScoringEngine(StrEnum):
    """What runs the work: that of other commands, or the DAG."""

    local = "local"
    ray = "ray"
    airflow = "airflow"


def _run(planned: Planned, engine: Engine, settings: Settings, *, as_json: bool) -> ScoringSummary:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with progress(*columns, TimeRemainingColumn(), as_json=as_json) as bar:
        steps = [step for step in _STEPS if planned.in_order or step == "scores"]
        tasks = {step: bar.add_task(_STEPS[step], total=planned.size) for step in steps}

        def show(step: str, size: int) -> None:
            bar.advance(tasks[step], size)

        return scoring.score(planned, engine, settings, show)


def _in_airflow(
    parts: Parts, source: str, to: str, *, version: str | None, resume: bool, as_json: bool
) -> ScoringSummary:
    """Have the DAG score, and wait for the end of its run."""
    dag = parts.settings.named("bulk_score")
    # Before a run is started that could only fail.
    require_store(source, to)
    params = {"source": source, "to": to, "version": version, "resume": resume}
    bar = progress(TextColumn("Score"), BarColumn(), MofNCompleteColumn(), as_json=as_json)
    with AirflowRuns(parts.settings) as runs, bar:
        run_id = runs.start(dag, params)
        page, shown = runs.page_of(dag, run_id), bar.add_task("batches", total=None)
        warn(f"Airflow scores; Ctrl-C leaves it running: {page}")
        while not (far := runs.progress(dag, run_id, "score")).has_ended:
            bar.update(shown, completed=far.done, total=far.tasks or None)
            time.sleep(_LOOK_S)
    batches = Batches(parts.fleet, parts.reader, source, to, run_id, resume=resume)
    try:
        return batches.summary()
    except StorageError as err:
        raise StackError(f"the run has {far.state} before its end, see {page}: {err}") from err


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
    engine: Annotated[
        ScoringEngine,
        typer.Option(help="Processes of this machine, tasks of Ray, or the DAG bulk_score."),
    ] = ScoringEngine.local,
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
    cannot be read is named, the others are scored, and the command ends with 1.
    """
    parts = Parts(home, fleet)
    if engine is ScoringEngine.airflow:
        if workers is not None or ray_address is not None:
            raise typer.BadParameter("--workers and --ray-address do not go with --engine airflow")
        summary = _in_airflow(parts, source, to, version=version, resume=resume, as_json=as_json)
    else:
        planned = scoring.plan_scoring(
            parts.fleet, parts.reader, source, to, version=version, resume=resume
        )
        settings, to = parts.settings, planned.run.to
        with opened_engine(
            EngineName(engine.value), settings, workers, ray_address,
            memory_bytes=settings.reader_memory_bytes,
        ) as opened:  # fmt: skip
            summary = _run(planned, opened, settings, as_json=as_json)
    if as_json:
        print_json(scoring.as_json(summary) | {"to": to})
    else:
        _print(summary, to)
    leave_unless_done(ExitStatus.FAILED if summary.files_failed else ExitStatus.DONE)
