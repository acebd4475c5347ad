"""Score files in bulk: find them, let an engine score each, sum up."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from presagio.fleet import Fleet
from presagio.machine.headers import HeaderLimits
from presagio.registry.loading import load_version
from presagio.registry.reader import RegistryReader
from presagio.scoring.engine import Engine
from presagio.scoring.finding import find_files
from presagio.scoring.histories import join_tails
from presagio.scoring.one_file import FileCounts, FileLimits
from presagio.scoring.places import (
    FolderPlace,
    FoundFile,
    open_place,
)
from presagio.scoring.run import (
    FileOutcome,
    FileTask,
    ModelFiles,
    ScoringRun,
    TailOutcome,
    in_sum,
)
from presagio.scoring.task import lost, score_task, tail_lost, tail_task
from presagio.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """What is to be scored.

    Attributes
    ----------
    run
        What is the same for all files.
    files
        Each file.
    others
        How many files there are of other kinds; they are left as they are.
    in_order
        Whether what is known of a unit goes from one file to the next.
    """

    run: ScoringRun
    files: tuple[FoundFile, ...]
    others: int
    in_order: bool

    @property
    def size(self) -> int:
        """How many bytes the files have together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class ScoringSummary:
    """What came of all files: ``files = files_scored + files_skipped + files_failed``.

    Attributes
    ----------
    model, version
        What has scored them.
    counts
        Of rows, those of skipped files among them.
    files_skipped
        Files that were done before.
    others
        Files of other kinds, which were left as they are.
    faults
        Name and reason of each file that could not be scored.
    """

    model: str
    version: str
    files: int = 0
    files_scored: int = 0
    files_skipped: int = 0
    files_failed: int = 0
    others: int = 0
    counts: FileCounts = field(default_factory=FileCounts)
    faults: dict[str, str] = field(default_factory=dict)


def plan_scoring(
    fleet: Fleet, reader: RegistryReader, source: str, to: str, *, version: str | None = None,
    resume: bool = False,
) -> Planned:  # fmt: skip
    """Find files, and the one version that scores all of them.

    Parameters
    ----------
    fleet
        Whose readings they are.
    reader
        Its registered model.
    source, to
        Where the files are and where results go: a folder or ``s3://BUCKET/PREFIX``.
    version
        The version; the champion where it is not given.
    resume
        Whether what is done already stays.

    Raises
    ------
    DataError
        As of :func:`find_files`.
    InvalidArtifactError
        If the version cannot score, or not in bulk.
    RegistryError, StorageError
        If MLflow or the store fail, or there is no such version.
    """
    target = open_place(to, fleet.settings)
    address, files, others = find_files(source, target, fleet.settings)
    run = scoring_run(fleet, reader, address, to, version=version, resume=resume)
    if isinstance(target, FolderPlace):
        target.folder.mkdir(parents=True, exist_ok=True)
        target.tidy()
    return Planned(run, tuple(files), others, fleet.spec.has_history)


def scoring_run(
    fleet: Fleet, reader: RegistryReader, source: str, to: str, *, version: str | None = None,
    resume: bool = False,
) -> ScoringRun:  # fmt: skip
    """Return what is the same for all files; as of :func:`plan_scoring`.

    Raises
    ------
    InvalidArtifactError
        If the version cannot score, or not in bulk.
    RegistryError
        If MLflow fails, or there is no such version.
    """
    settings = fleet.settings
    chosen = reader.resolve() if version is None else reader.version(version)
    predictor = load_version(reader, chosen, fleet.spec, settings)
    headers = HeaderLimits(settings.max_columns, settings.max_name_length)
    return ScoringRun(
        source, open_place(to, settings).address, json.dumps(fleet.spec.model_dump(mode="json")),
        ModelFiles.of(predictor, chosen.name, chosen.version),
        FileLimits(headers, settings.intake_max_bytes), resume,
    )  # fmt: skip


def find_tails(planned: Planned, engine: Engine) -> Iterator[TailOutcome]:
    """Find what each file leaves behind for later ones."""
    tasks = map(FileTask, planned.files)
    yield from engine.run(partial(tail_task, planned.run), tasks, tail_lost)


def score_tasks(planned: Planned, tasks: list[FileTask], engine: Engine) -> Iterator[FileOutcome]:
    """Score files, each with what is known of its units."""
    yield from engine.run(partial(score_task, planned.run), tasks, lost)


def score(
    planned: Planned, engine: Engine, settings: Settings,
    on_done: Callable[[str, int], None] | None = None,
) -> ScoringSummary:  # fmt: skip
    """Score all files of a plan.

    Parameters
    ----------
    planned
        What is to be scored.
    engine
        What runs a function over files.
    settings
        How the store is reached.
    on_done
        Called for each file that is done, with the step (``histories`` or ``scores``) and its size.

    Raises
    ------
    StorageError
        If the store fails between two steps; what fails for one file is in the summary.
    """
    tasks, failed = [FileTask(file) for file in planned.files], list[FileOutcome]()
    if planned.in_order:
        tails = list[TailOutcome]()
        for tail in find_tails(planned, engine):
            if on_done is not None:
                on_done("histories", tail.file.size)
            tails.append(tail)
        failed = [lost(FileTask(t.file), t.fault) for t in tails if t.fault is not None]

        def again(task: FileTask) -> TailOutcome:
            return next(engine.run(partial(tail_task, planned.run), [task], tail_lost))

        good = [tail for tail in tails if tail.fault is None]
        tasks = [*join_tails(planned.run, settings, good, again)]
    outcomes = failed
    for outcome in score_tasks(planned, tasks, engine):
        if on_done is not None:
            on_done("scores", outcome.size)
        outcomes.append(outcome)
    return summarise(planned, outcomes)


def summarise(planned: Planned, outcomes: list[FileOutcome]) -> ScoringSummary:
    """Sum up what came of files."""
    faults = {each.name: each.fault for each in outcomes if each.fault is not None}
    skipped = sum(each.skipped for each in outcomes)
    for name, fault in sorted(faults.items()):
        _log.warning("%s: %s", name, fault)
    return ScoringSummary(
        planned.run.model.name, planned.run.model.version, len(outcomes),
        len(outcomes) - skipped - len(faults), skipped, len(faults), planned.others,
        in_sum(outcomes), dict(sorted(faults.items())),
    )  # fmt: skip


def as_json(summary: ScoringSummary) -> dict[str, Any]:
    """Return a summary as plain data."""
    found: dict[str, Any] = asdict(summary)
    counts = found.pop("counts")
    return {**found, **counts}
