"""Score files in batches, each in a task of its own, as the DAG does it.

What passes from one task to the next lies beside the results.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from presagio.errors import DataError
from presagio.fleet import Fleet
from presagio.jobs import score
from presagio.jobs.score import Planned, ScoringSummary
from presagio.registry.reader import RegistryReader
from presagio.scoring.engine import LocalEngine
from presagio.scoring.histories import join_tails
from presagio.scoring.one_file import FileCounts
from presagio.scoring.places import RECORDS, FoundFile, open_place
from presagio.scoring.run import FileOutcome, FileTask, TailOutcome
from presagio.scoring.task import lost, score_task, tail_lost, tail_task

# Airflow maps a task over 1,024 batches at most.
MOST_BATCHES = 1000
_FEW_BATCHES = 8
_BATCH_BYTES = 256 << 20
_SCHEME = "s3://"


def require_store(source: str, to: str) -> None:
    """Refuse places that are not in the store.

    Raises
    ------
    DataError
        If one is not.
    """
    if not (source.startswith(_SCHEME) and to.startswith(_SCHEME)):
        raise DataError("tasks run on any host: write source and to as s3://BUCKET/PREFIX")


@dataclass(frozen=True)
class Batches:
    """One run, as its tasks know it.

    Attributes
    ----------
    fleet, reader
        Whose readings they are, and its registered model.
    source, to, version, resume
        As of :func:`.score.plan_scoring`; the version is a number.
    run_id
        The run of the DAG.
    """

    fleet: Fleet
    reader: RegistryReader
    source: str
    to: str
    run_id: str
    version: str | None = None
    resume: bool = False

    @property
    def _folder(self) -> str:
        return f"{RECORDS}runs/{hashlib.sha256(self.run_id.encode()).hexdigest()[:16]}/"

    def _write(self, name: str, value: Any) -> None:
        with open_place(self.to, self.fleet.settings).writing(self._folder + name) as path:
            path.write_text(json.dumps(value), encoding="utf-8")

    def _read(self, name: str) -> Any:
        with open_place(self.to, self.fleet.settings).fetch(self._folder + name) as found:
            return json.loads(found.path.read_bytes())

    def plan(self) -> list[dict[str, Any]]:
        """Find files and the version; return the files as batches.

        Raises
        ------
        DataError
            If there is nothing to score, or a place is not in the store.
        InvalidArtifactError, RegistryError, StorageError
            As of :func:`.score.plan_scoring`.
        """
        require_store(self.source, self.to)
        planned = score.plan_scoring(
            self.fleet, self.reader, self.source, self.to, version=self.version
        )
        self._write("plan.json", {
            "source": planned.run.source, "version": planned.run.model.version,
            "others": planned.others, "files": [asdict(file) for file in planned.files],
        })  # fmt: skip
        return self._divided(planned)

    def with_tails(self, batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the batches whose files leave something behind: all, or none."""
        return batches if self.fleet.spec.has_history else []

    @staticmethod
    def _divided(planned: Planned) -> list[dict[str, Any]]:
        files = len(planned.files)
        wanted = max(_FEW_BATCHES, planned.size // _BATCH_BYTES)
        size = math.ceil(files / min(files, MOST_BATCHES, wanted))
        return [
            {"first": first, "count": min(size, files - first)} for first in range(0, files, size)
        ]

    def _planned(self) -> Planned:
        """Return the plan, with the version that it has named."""
        plan = self._read("plan.json")
        files = tuple(FoundFile(**file) for file in plan["files"])
        run = score.scoring_run(
            self.fleet, self.reader, plan["source"], self.to, version=plan["version"],
            resume=self.resume,
        )  # fmt: skip
        return Planned(run, files, plan["others"], self.fleet.spec.has_history)

    @property
    def _engine(self) -> LocalEngine:
        """A process of its own reads the files: what harms it harms no other file."""
        settings = self.fleet.settings
        return LocalEngine(settings, 1, settings.reader_memory_bytes)

    def find_tails(self, batch: dict[str, Any]) -> int:
        """Find what each file of a batch leaves behind for later ones; return how many there are.

        Raises
        ------
        RegistryError, StorageError
            If MLflow or the store fail.
        """
        planned = self._planned()
        files = planned.files[batch["first"] :][: batch["count"]]
        work = partial(tail_task, planned.run)
        found = [*self._engine.run(work, map(FileTask, files), tail_lost)]
        self._write(f"tails-{batch['first']}.json", [asdict(each) for each in found])
        return len(found)

    def join(self, batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put together what is known of each file's units; return the batches to score.

        Raises
        ------
        DataError, RegistryError, StorageError
            As of :func:`.histories.join_tails`.
        """
        if not self.with_tails(batches):
            return batches
        plan = self._planned()
        tails = [
            TailOutcome(FoundFile(**each["file"]), each["earliest"], each["fault"])
            for batch in batches
            for each in self._read(f"tails-{batch['first']}.json")
        ]

        def again(task: FileTask) -> TailOutcome:
            return next(self._engine.run(partial(tail_task, plan.run), [task], tail_lost))

        good = [tail for tail in tails if tail.fault is None]
        tasks = [*join_tails(plan.run, self.fleet.settings, good, again)]
        failed = {tail.file.name: tail.fault for tail in tails if tail.fault is not None}
        histories = {task.file.name: task.history for task in tasks}
        self._write("histories.json", {"histories": histories, "failed": failed})
        return batches

    def _tasks(self, planned: Planned, batch: dict[str, Any]) -> Iterator[FileTask]:
        known: dict[str, Any] = {"histories": {}, "failed": {}}
        if planned.in_order:
            known = self._read("histories.json")
        for file in planned.files[batch["first"] :][: batch["count"]]:
            if file.name not in known["failed"]:
                history = known["histories"].get(file.name)
                yield FileTask(file, None if history is None else tuple(history))

    def score(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Score the files of a batch, and return a summary of it.

        Raises
        ------
        RegistryError, StorageError
            If MLflow or the store fail.
        """
        planned = self._planned()
        work, tasks = partial(score_task, planned.run), self._tasks(planned, batch)
        outcomes = [*self._engine.run(work, tasks, lost)]
        self._write(f"scores-{batch['first']}.json", [asdict(each) for each in outcomes])
        return score.as_json(score.summarise(planned, outcomes))

    def summary(self) -> ScoringSummary:
        """Sum up what came of a run that has ended, from what lies beside the results.

        Raises
        ------
        RegistryError, StorageError
            As of :meth:`sum_up`; also if the run has not come to its end.
        """
        return self.sum_up(self._divided(self._planned()))

    def sum_up(self, batches: list[dict[str, Any]]) -> ScoringSummary:
        """Sum up what came of all batches.

        Raises
        ------
        RegistryError, StorageError
            If MLflow or the store fail.
        """
        planned, outcomes = self._planned(), list[FileOutcome]()
        for batch in batches:
            for each in self._read(f"scores-{batch['first']}.json"):
                counts = each.pop("counts")
                counted = None if counts is None else FileCounts(**counts)
                outcomes.append(FileOutcome(**each, counts=counted))
        if planned.in_order:
            sizes = {file.name: file.size for file in planned.files}
            outcomes += [
                FileOutcome(name, sizes[name], fault=fault)
                for name, fault in self._read("histories.json")["failed"].items()
            ]
        return score.summarise(planned, outcomes)
