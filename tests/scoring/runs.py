"""Runs of bulk scoring over folders, with an engine that needs no processes."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from presagio.inference.predictor import Predictor
from presagio.jobs.score import Planned, ScoringSummary, score
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.scoring.engine import Engine, Work
from presagio.scoring.finding import find_files
from presagio.scoring.one_file import FileLimits
from presagio.scoring.places import open_place
from presagio.scoring.run import ModelFiles, ScoringRun
from presagio.settings import Settings

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Here:
    """An engine that calls the function in this process."""

    settings: Settings

    def run(
        self, work: Work[T, R], tasks: Iterable[T],
        lost: Callable[[T, str], R],  # noqa: ARG002 - nothing is lost here
    ) -> Iterator[R]:  # fmt: skip
        for task in tasks:
            yield work(self.settings, task)


def planned(
    predictor: Predictor, spec: MachineSpec, source: str, to: str, settings: Settings, *,
    version: str = "7", resume: bool = False, most_bytes: int = 1 << 30,
) -> Planned:  # fmt: skip
    """Plan what `presagio score` does, for a model that is in no registry."""
    target = open_place(to, settings)
    address, files, others = find_files(source, target, settings)
    run = ScoringRun(
        address, target.address, json.dumps(spec.model_dump(mode="json")),
        ModelFiles.of(predictor, "svm", version), FileLimits(HeaderLimits(4096, 512), most_bytes),
        resume,
    )  # fmt: skip
    return Planned(run, tuple(files), others, spec.has_history)


def score_folder(
    predictor: Predictor, source: Path, to: Path, settings: Settings, *,
    engine: Engine | None = None, version: str = "7", resume: bool = False,
    most_bytes: int = 1 << 30,
) -> ScoringSummary:  # fmt: skip
    """Score a folder."""
    to.mkdir(exist_ok=True)
    found = planned(
        predictor, predictor.artifact.spec, str(source), str(to), settings, version=version,
        resume=resume, most_bytes=most_bytes,
    )  # fmt: skip
    return score(found, engine or Here(settings), settings)
