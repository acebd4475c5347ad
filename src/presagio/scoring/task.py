"""What a worker does with one file, whatever engine has started it: the same rows each time."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from presagio.errors import DataError, PresagioError
from presagio.inference.predictor import Predictor, open_predictor
from presagio.readings.instants import time_numbers
from presagio.scoring.one_file import FORMS, FileCounts, ReadFile, score_file, spec_of
from presagio.scoring.places import FoundFile, Place, open_place
from presagio.scoring.run import (
    REJECTED,
    RESULT,
    FileOutcome,
    FileTask,
    ModelFiles,
    ScoringRun,
    TailOutcome,
    after_name,
    record_name,
    tail_name,
)
from presagio.scoring.tails import Tail, Tails, about_tail
from presagio.settings import Settings

_SHOWN = 500


@lru_cache(maxsize=2)
def load_model(model: ModelFiles) -> Predictor:
    """Load a model, once in each process.

    Raises
    ------
    InvalidArtifactError
        If the bytes are not those of the artifact.
    """
    with tempfile.TemporaryDirectory(prefix="presagio-model-") as folder:
        for name, content in model.files:
            (Path(folder) / name).write_bytes(content)
        return open_predictor(Path(folder), digest=model.digest)


def fault_of(err: Exception) -> str:
    """Say in a line why a file could not be scored."""
    text = (str(err) or type(err).__name__).partition("\n")[0][:_SHOWN]
    return text if isinstance(err, PresagioError | OSError) else f"{type(err).__name__}: {text}"


@contextmanager
def _opened(run: ScoringRun, source: Place, file: FoundFile) -> Iterator[ReadFile]:
    """Open a file as what it was found."""
    form = FORMS[PurePosixPath(file.name).suffix.lower()]
    with source.fetch(file.name) as fetched:
        if (fetched.found.etag, fetched.found.size) != (file.etag, file.size):
            raise DataError("it has changed since it was listed; run it again")
        yield ReadFile(fetched.path, form, spec_of(run.spec), run.limits)


def _identity(run: ScoringRun, task: FileTask) -> dict[str, Any]:
    """Return what a result hangs on."""
    return {
        "file": task.file.name, "etag": task.file.etag, "size": task.file.size,
        "model": run.model.name, "version": run.model.version, "digest": run.model.digest,
        "spec": hashlib.sha256(run.spec.encode()).hexdigest(),
        "history": None if task.history is None else task.history[1],
    }  # fmt: skip


def _done_before(run: ScoringRun, task: FileTask, to: Place) -> FileCounts | None:
    """Return the counts of a result that is what this run would make."""
    record = record_name(task.file.name)
    if to.find(record) is None:
        return None
    with to.fetch(record) as found:
        try:
            noted = json.loads(found.path.read_bytes())
            counts = FileCounts(**noted.pop("counts"))
            result = noted.pop("result")
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
    there = to.find(task.file.name + RESULT)
    same = noted == _identity(run, task) and there is not None and there.size == result
    return counts if same else None


def _history_of(task: FileTask, to: Place) -> Tail | None:
    if task.history is None:
        return None
    name, digest = task.history
    with to.fetch(name) as found:
        tail = Tail.read(found.path)
    if tail.digest() != digest:
        raise DataError("another run has written what is known of its units; run it again")
    return tail


def score_task(run: ScoringRun, settings: Settings, task: FileTask) -> FileOutcome:
    """Score one file: result and rejected rows, then the record that says so.

    Parameters
    ----------
    run
        What is the same for all files.
    settings
        How the store is reached.
    task
        The file.

    Returns
    -------
    FileOutcome
        Counts, or why it could not be scored: nothing is raised for what is in a file.
    """
    file = task.file
    try:
        source, to = open_place(run.source, settings), open_place(run.to, settings)
        if run.resume and (counts := _done_before(run, task, to)) is not None:
            return FileOutcome(file.name, file.size, counts, skipped=True)
        counts = _score(run, task, source, to)
    except Exception as err:  # noqa: BLE001 - said and counted; the other files go on
        return FileOutcome(file.name, file.size, fault=fault_of(err))
    return FileOutcome(file.name, file.size, counts)


def _score(run: ScoringRun, task: FileTask, source: Place, to: Place) -> FileCounts:
    name, predictor = task.file.name, load_model(run.model)
    history = _history_of(task, to)
    with tempfile.TemporaryDirectory(prefix="presagio-score-") as folder:
        aside = Path(folder) / "rejected"
        with to.writing(name + RESULT) as result:
            with _opened(run, source, task.file) as file:
                counts = score_file(file, predictor, run.model.version, result, aside, history)
            size = result.stat().st_size
        if aside.exists():
            with to.writing(name + REJECTED) as place:
                shutil.copyfile(aside, place)
        else:
            to.remove(name + REJECTED)
    record = _identity(run, task) | {"counts": asdict(counts), "result": size}
    with to.writing(record_name(name)) as place:
        place.write_text(json.dumps(record), encoding="utf-8")
    return counts


def _about(run: ScoringRun, file: FoundFile) -> dict[str, str]:
    return {"etag": file.etag, "size": str(file.size), "spec": run.spec}


def tail_task(run: ScoringRun, settings: Settings, task: FileTask) -> TailOutcome:
    """Find what one file leaves behind for later ones, and write it beside the results.

    Parameters
    ----------
    run, settings
        As of :func:`score_task`.
    task
        The file; with a history it is what is known after it, else of the file alone.
    """
    file, name = task.file, tail_name(task.file.name)
    try:
        source, to = open_place(run.source, settings), open_place(run.to, settings)
        if run.resume and task.history is None and to.find(name) is not None:
            with to.fetch(name) as found:
                about = about_tail(found.path)
                if {key: about.get(key) for key in _about(run, file)} == _about(run, file):
                    return TailOutcome(file, float(about["earliest"]))
        tails = Tails(spec_of(run.spec))
        if (before := _history_of(task, to)) is not None:
            tails.replace(before)
            name = after_name(file.name)
        with _opened(run, source, file) as opened:
            _fill(tails, opened)
        tail = tails.tail
        with to.writing(name) as path:
            tail.write(path, _about(run, file) | {"earliest": repr(tail.earliest)})
    except Exception as err:  # noqa: BLE001 - said and counted; the other files go on
        return TailOutcome(file, fault=fault_of(err))
    return TailOutcome(file, tail.earliest)


def _fill(tails: Tails, file: ReadFile) -> None:
    for _, checked in file.parts():
        if checked.series is not None:
            unit, time = checked.series.select("unit", "time")
            tails.add(unit.to_numpy().astype(object), time_numbers(time), checked.inputs)


def lost(task: FileTask, why: str) -> FileOutcome:
    """Return what came of a file whose process has ended."""
    return FileOutcome(task.file.name, task.file.size, fault=why)


def tail_lost(task: FileTask, why: str) -> TailOutcome:
    """Return the same for its tail."""
    return TailOutcome(task.file, fault=why)
