"""S3 answers errors, hangs or breaks off; PostgreSQL is killed: the end is that of a clean run."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from presagio.errors import StorageError
from presagio.ingest.filing import Intake, Step, file_object
from presagio.storage.objects import open_store
from tests.conftest import RunningServices, eventually_connects
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.ingest.intake_state import KEY, State, drop, state

pytestmark = pytest.mark.integration

_ENOUGH = 60


@pytest.fixture
def proxy(services: RunningServices) -> Iterator[FaultyProxy]:
    with faulty_proxy(("127.0.0.1", services.ports.s3)) as proxy:
        yield proxy


@pytest.fixture
def behind(intake: Intake, services: RunningServices, proxy: FaultyProxy) -> Intake:
    """The intake, with the proxy between it and the store."""
    settings = services.settings.model_copy(update={"s3_endpoint": proxy.url, "s3_timeout_s": 1.0})
    return replace(intake, store=open_store(settings))


def _file_until_done(intake: Intake) -> int:
    """File like a task that is retried; return how often it failed."""
    for failures in range(_ENOUGH):
        try:
            file_object(intake, KEY, run_id="test")
        except StorageError:
            continue
        return failures
    raise AssertionError("never done")


def test_the_proxy_itself_changes_nothing(
    intake: Intake, behind: Intake, clean_run: State, proxy: FaultyProxy
) -> None:
    drop(intake)
    assert _file_until_done(behind) == 0
    assert state(intake) == clean_run
    assert set(proxy.met) == {"none"}


@pytest.mark.parametrize("fault", ["500", "503", "cut", "after", "slow"])
def test_a_fault_here_and_there_is_met_by_trying_again(
    intake: Intake, behind: Intake, clean_run: State, proxy: FaultyProxy, fault: Fault
) -> None:
    proxy.choose = lambda number: fault if number % 2 == 0 else "none"
    drop(intake)
    assert _file_until_done(behind) == 0
    assert fault in proxy.met
    assert state(intake) == clean_run


# Get, archive, processed, quarantine, curated, look, delete: 0 to 6.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "first"),
    [
        *[("500", first) for first in range(7)],
        *[("hang", first) for first in range(0, 7, 2)],
        ("503", 1), ("cut", 0), ("after", 2), ("after", 6),
    ],
)  # fmt: skip
def test_a_store_that_fails_for_good_at_any_request_loses_nothing(
    intake: Intake, behind: Intake, clean_run: State, proxy: FaultyProxy, fault: Fault, first: int
) -> None:
    proxy.choose = lambda number: fault if number >= first else "none"
    drop(intake)
    failed = False
    try:
        file_object(behind, KEY, run_id="test")
    except StorageError:
        failed = True
    # Only an answer that is broken off may be of no consequence, where nobody reads it.
    assert failed or fault == "cut" or len(proxy.met) <= first
    proxy.choose = lambda _number: "none"
    assert _file_until_done(behind) == 0
    assert state(intake) == clean_run


@pytest.mark.parametrize("seed", range(5))
def test_any_mixture_of_faults_ends_in_a_clean_run(
    intake: Intake, behind: Intake, clean_run: State, proxy: FaultyProxy, seed: int
) -> None:
    chance = random.Random(seed)
    faults: list[Fault] = ["none", "none", "500", "503", "cut", "after", "slow"]
    proxy.choose = lambda _number: chance.choice(faults)
    drop(intake)
    _file_until_done(behind)
    assert state(intake) == clean_run


def _kill_postgres(services: RunningServices) -> None:
    (server,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(services.layout.postgres) in " ".join(process.info["cmdline"] or [])
        and str(services.ports.postgres) in " ".join(process.info["cmdline"] or [])
    ]
    for child in (*server.children(recursive=True), server):
        # A process of one connection may have ended by itself since.
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)


# Before, during and at the end of the transaction; each kill makes the next restart wait longer.
@pytest.mark.slow
@pytest.mark.parametrize("step", ["read", "curated_written", "recorded"])
def test_postgres_killed_at_any_step_loses_nothing(
    intake: Intake, services: RunningServices, clean_run: State, step: Step
) -> None:
    def kill(at: Step) -> None:
        if at == step:
            _kill_postgres(services)

    drop(intake)
    with pytest.raises(StorageError):
        file_object(replace(intake, on_step=kill), KEY, run_id="test")
    eventually_connects(services)
    assert _file_until_done(intake) == 0
    assert state(intake) == clean_run


@pytest.mark.slow
def test_postgres_killed_again_and_again_during_commits_loses_nothing(
    intake: Intake, services: RunningServices, clean_run: State
) -> None:
    done = threading.Event()

    def kill_often() -> None:
        for _ in range(2):
            eventually_connects(services)
            time.sleep(random.uniform(0.0, 0.05))
            _kill_postgres(services)
        done.set()

    drop(intake)
    killer = threading.Thread(target=kill_often)
    killer.start()
    while not done.is_set():
        try:
            file_object(intake, KEY, run_id="test")
        except StorageError:
            time.sleep(0.05)
        if intake.store.head(intake.prefixes.bucket, KEY) is None and not done.is_set():
            drop(intake)
    killer.join()
    eventually_connects(services)
    _file_until_done(intake)
    assert state(intake) == clean_run
