"""The working process is killed with SIGKILL after every step; nothing is lost or doubled.

Workers are forked from a server that has imported everything and started no thread, so that
hundreds of them can be killed in a minute.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

import pytest

from presagio.ingest.filing import STEPS, Intake, Step, file_object
from presagio.machine.spec import load_spec
from presagio.settings import Prefixes, Settings
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger
from presagio.storage.objects import open_store
from tests.conftest import RunningServices
from tests.extent import KILLS
from tests.ingest.intake_state import KEY, State, drop, state

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def _work(settings: Settings, prefixes: Prefixes, die_after: Step | None) -> None:
    def die(step: Step) -> None:
        if step == die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = Ledger(open_database(settings))
    intake = Intake(open_store(settings), ledger, load_spec(), prefixes, on_step=die)
    file_object(intake, KEY, run_id="test")


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ingest.test_crashes"])
    return context


Start = Callable[[Intake, Step | None], BaseProcess]


@pytest.fixture
def start(context: ForkServerContext, services: RunningServices) -> Start:
    def begin(intake: Intake, die_after: Step | None) -> BaseProcess:
        worker = context.Process(target=_work, args=(services.settings, intake.prefixes, die_after))
        worker.start()
        return worker

    return begin


def _ended(*workers: BaseProcess) -> list[int | None]:
    for worker in workers:
        worker.join(60)
    return [worker.exitcode for worker in workers]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_worker_and_a_second_one_leave_what_a_clean_run_leaves(
    new_intake: Callable[[], Intake], clean_run: State, start: Start, step: Step
) -> None:
    killed = attempts = 0
    # The second may be through before the first gets to the step, but not each time.
    while killed < KILLS:
        attempts += 1
        assert attempts <= 20 * KILLS, f"killed {killed} times only"
        intake = new_intake()
        drop(intake)
        # One is killed after the step while another works on the same object; then one cleans up.
        codes = _ended(start(intake, step), start(intake, None))
        assert codes[0] in (-signal.SIGKILL, 0), "the first died of something else"
        assert codes[1] == 0
        killed += codes[0] == -signal.SIGKILL
        assert _ended(start(intake, None)) == [0]
        assert state(intake) == clean_run


@pytest.mark.parametrize("step", STEPS)
def test_every_worker_is_killed_until_one_is_not(
    new_intake: Callable[[], Intake], clean_run: State, start: Start, step: Step
) -> None:
    intake = new_intake()
    drop(intake)
    for _ in range(3):
        codes = _ended(start(intake, step))
        assert codes in ([-signal.SIGKILL], [0])
    assert _ended(start(intake, None)) == [0]
    assert state(intake) == clean_run
