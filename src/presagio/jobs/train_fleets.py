"""Train the models of many fleets: each fleet is a task, and the search within one has threads."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from presagio.errors import NotFoundError, PresagioError
from presagio.fleet import Fleets
from presagio.ingest.opening import open_intake
from presagio.jobs.train import retrain
from presagio.lifecycle.promotion import open_promoter
from presagio.scoring.engine import Engine
from presagio.settings import Settings
from presagio.storage.fleets import find_fleet


@dataclass(frozen=True)
class FleetTraining:
    """What came of the training of one fleet.

    Attributes
    ----------
    fleet
        Its name.
    version, decision, why
        As of :func:`.train.retrain`; empty where it failed.
    fault
        Why there is no version; None where there is one.
    """

    fleet: str
    version: str = ""
    decision: str = ""
    why: str = ""
    fault: str | None = None


def chosen_fleets(fleets: Fleets, names: Sequence[str]) -> list[str]:
    """Return the names of fleets that are to be trained: those that are given, else all.

    Raises
    ------
    NotFoundError
        If there is no fleet of a name.
    """
    for name in names:
        if name not in fleets.by_name and name not in {fault.name for fault in fleets.faults}:
            raise NotFoundError(
                f"there is no fleet {name:.80}; there are: {', '.join(fleets.by_name)}"
            )
    return list(dict.fromkeys(names or fleets.by_name))


def train_fleet(run_id: str, search: str | None, settings: Settings, name: str) -> FleetTraining:
    """Train one fleet on what the intake has taken, and ask the gate.

    Parameters
    ----------
    run_id
        For the ledger of decisions.
    search
        How many parameters are tried; what the settings say where it is not given.
    settings
        Of the deployment.
    name
        The fleet.

    Returns
    -------
    FleetTraining
        What came of it: nothing is raised for one fleet that cannot be trained.
    """
    if search is not None:
        settings = settings.model_copy(update={"train_search": search})
    try:
        fleet = find_fleet(settings, name)
        intake, promoter = open_intake(fleet), open_promoter(fleet.settings, fleet.spec)
        with closing(intake.ledger), closing(promoter.promotions):
            found = retrain(fleet.settings, intake, promoter, run_id=run_id)
    except PresagioError as err:
        return FleetTraining(name, fault=str(err))
    except Exception as err:  # noqa: BLE001 - said and counted; the other fleets go on
        return FleetTraining(name, fault=f"{type(err).__name__}: {err}")
    return FleetTraining(name, found["version"], found["decision"], found["why"])


def _lost(name: str, why: str) -> FleetTraining:
    return FleetTraining(name, fault=why)


def train_fleets(
    names: Sequence[str], engine: Engine, *, run_id: str, search: str | None = None
) -> Iterator[FleetTraining]:
    """Train fleets, as many at a time as the engine has workers.

    Parameters
    ----------
    names
        The fleets.
    engine
        What runs a function over tasks. Each worker has its share of the processors.
    run_id, search
        As of :func:`train_fleet`.

    Yields
    ------
    FleetTraining
        One for each fleet, as they come.
    """
    yield from engine.run(partial(train_fleet, run_id, search), names, _lost)
