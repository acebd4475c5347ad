"""What is known of each file's units from the files before it: tails, put together in order."""

from collections.abc import Callable, Iterable, Iterator

from presagio.errors import DataError
from presagio.scoring.one_file import spec_of
from presagio.scoring.places import Place, open_place
from presagio.scoring.run import (
    FileTask,
    ScoringRun,
    TailOutcome,
    after_name,
    history_name,
    tail_name,
)
from presagio.scoring.tails import Tail, Tails
from presagio.settings import Settings


def _read(place: Place, name: str) -> Tail:
    with place.fetch(name) as found:
        return Tail.read(found.path)


def join_tails(
    run: ScoringRun, settings: Settings, tails: Iterable[TailOutcome],
    again: Callable[[FileTask], TailOutcome],
) -> Iterator[FileTask]:  # fmt: skip
    """Write down the history of each file's units, file by file in the order of time.

    Parameters
    ----------
    run
        What is the same for all files.
    settings
        How the store is reached.
    tails
        What each file leaves behind; files are ordered by their earliest readings, then by name.
    again
        Finds what is known after a file, given what is known before it: for one that goes back in
        time.

    Yields
    ------
    FileTask
        Each file with its history.

    Raises
    ------
    DataError
        If a file that goes back in time cannot be read again.
    StorageError
        If the store fails.
    """
    to, known = open_place(run.to, settings), Tails(spec_of(run.spec))
    for found in sorted(tails, key=lambda tail: (tail.earliest, tail.file.name)):
        name = found.file.name
        tail = _read(to, tail_name(name))
        before, task = known.of(dict.fromkeys(tail.units.tolist())), FileTask(found.file)
        if len(before.units):
            with to.writing(history_name(name)) as path:
                before.write(path, {})
            task = FileTask(found.file, (history_name(name), before.digest()))
        if known.overlaps(tail):
            if (fault := again(task).fault) is not None:
                raise DataError(f"{name}: {fault}")
            known.replace(_read(to, after_name(name)))
        else:
            known.add(tail.units, tail.times, tail.rows)
        yield task
