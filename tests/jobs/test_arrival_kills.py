"""The scoring process is killed with SIGKILL after every step; no alarm is lost or doubled.

Workers are forked from a server that has imported everything, as those of the intake are.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from presagio.ingest.filing import Intake
from presagio.jobs.score_arrivals import STEPS, Step
from presagio.settings import Settings
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger
from presagio.storage.objects import open_store
from tests.arriving import LIFE, Arriving, life, new_fleet
from tests.engines import engines

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_STATE = ("unit", "state", "reading_time", "probability", "label", "mode", "remaining_life")
_CASE = ("unit", "mode", "reading_time", "probability", "outcome", "closed_by", "is_open")


def _work(settings: Settings, die_after: Step | None, times: int) -> None:
    seen = 0

    def die(step: Step) -> None:
        nonlocal seen
        seen += step == die_after
        if step == die_after and seen == times:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = Ledger(open_database(settings), settings.fleet)
    intake = Intake(open_store(settings), ledger, engines(), settings.prefixes)
    Arriving(settings, intake).score(on_step=die)


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.jobs.test_arrival_kills"])
    return context


Start = Callable[[Arriving, Step | None, int], BaseProcess]


@pytest.fixture
def start(context: ForkServerContext) -> Start:
    def begin(fleet: Arriving, die_after: Step | None, times: int = 1) -> BaseProcess:
        worker = context.Process(target=_work, args=(fleet.settings, die_after, times))
        worker.start()
        return worker

    return begin


def _ended(*workers: BaseProcess) -> list[int | None]:
    for worker in workers:
        worker.join(120)
    return [worker.exitcode for worker in workers]


def _filed(champion: Settings, ledger: Ledger) -> Arriving:
    """File what opens two cases, and closes one."""
    fleet = new_fleet(champion, ledger, model_name=champion.model_name)
    fleet.file("a.csv", life(-20, -10), life(-20, -10, unit="E2"))
    fleet.file("b.csv", life(-10, LIFE), life(-10, LIFE, unit="E2"))
    fleet.log("log.csv", ("E2", LIFE, "failure"))
    return fleet


def _seen(fleet: Arriving) -> dict[str, Any]:
    """Return all that can be seen of what was scored."""
    states = fleet.intake.ledger.unit_states().page(limit=100)
    cases, ledger = fleet.cases(), fleet.intake.ledger
    scores = fleet.scores().drop("receipt_id").sort("unit", "cycle")
    with ledger.alarms().notice() as left:
        notices = left
    return {
        "states": sorted(tuple(getattr(one, name) for name in _STATE) for one in states),
        "cases": sorted((tuple(getattr(one, name) for name in _CASE) for one in cases), key=str),
        "entries": sorted([e.kind for e in ledger.alarms().entries(one.id)] for one in cases),
        "scores": scores.drop("diagnosis").rows(),
        "waiting": ledger.arrivals().backlog(fleet.settings.s3_bucket)[0],
        "notices": notices,
    }


@pytest.fixture(scope="module")
def clean(champion: Settings, ledger: Ledger) -> dict[str, Any]:
    fleet = _filed(champion, ledger)
    done = fleet.score()
    assert (done.receipts, done.opened, done.closed, done.notified) == (2, 2, 1, 1)
    return _seen(fleet)


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_run_and_a_second_one_leave_what_a_clean_run_leaves(
    champion: Settings, ledger: Ledger, clean: dict[str, Any], start: Start, step: Step
) -> None:
    fleet, codes = _filed(champion, ledger), list[int | None]()
    # At the first file, at the second, and so on, with another run beside it; then one cleans up.
    for times in (1, 2):
        killed, beside = _ended(start(fleet, step, times), start(fleet, None, 1))
        assert killed in (-signal.SIGKILL, 0), "it died of something else"
        assert beside == 0
        codes.append(killed)
        if killed:
            break
    assert _ended(start(fleet, None, 1)) == [0]
    assert _seen(fleet) == clean


@pytest.mark.parametrize("step", STEPS)
def test_every_run_is_killed_until_one_is_not(
    champion: Settings, ledger: Ledger, clean: dict[str, Any], start: Start, step: Step
) -> None:
    fleet = _filed(champion, ledger)
    codes = [_ended(start(fleet, step, 1))[0] for _ in range(3)]
    assert codes[0] == -signal.SIGKILL
    assert {*codes} <= {-signal.SIGKILL, 0}
    assert _ended(start(fleet, None, 1)) == [0]
    assert _seen(fleet) == clean
