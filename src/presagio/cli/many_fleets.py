"""How `presagio train` goes about many fleets: each is a task of an engine."""

import getpass
from collections.abc import Sequence

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from presagio.cli.engines import EngineName, opened_engine
from presagio.cli.exit_status import ExitStatus
from presagio.cli.output import print_json, progress, say, warn
from presagio.jobs.train_fleets import FleetTraining, chosen_fleets, train_fleets
from presagio.settings import Settings
from presagio.storage.fleets import read_fleets
from presagio.storage.objects import open_store


def train_many(
    settings: Settings, names: Sequence[str], *, search: str | None, engine: EngineName,
    workers: int | None, ray_address: str | None, as_json: bool,
) -> ExitStatus:  # fmt: skip
    """Train fleets, print what came of each, and return what the command ends with.

    Raises
    ------
    NotFoundError
        If there is no fleet of a name.
    StorageError
        If the store does not answer.
    """
    chosen, found = chosen_fleets(read_fleets(settings, open_store(settings)), names), []
    run_id = f"presagio train by {getpass.getuser()}"
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        opened_engine(engine, settings, workers, ray_address) as opened,
        progress(*columns, TimeElapsedColumn(), as_json=as_json) as bar,
    ):
        task = bar.add_task("Train", total=len(chosen))
        for done in train_fleets(chosen, opened, run_id=run_id, search=search):
            bar.advance(task)
            found.append(done)
            _print(done, as_json=as_json)
    if any(each.fault is not None for each in found):
        return ExitStatus.FAILED
    promoted = all(each.decision == "promotion" for each in found)
    return ExitStatus.DONE if promoted else ExitStatus.NOT_PROMOTED


def _print(done: FleetTraining, *, as_json: bool) -> None:
    if as_json:
        print_json(vars(done))
    elif done.fault is not None:
        warn(f"{done.fleet}: {done.fault}")
    else:
        say(f"{done.fleet}: version {done.version}, {done.decision}: {done.why}")
