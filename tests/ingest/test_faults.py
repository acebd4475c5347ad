"""S3 answers errors, hangs or breaks off; PostgreSQL is killed: the end is that of a clean run."""

import contextlib
import os
import random
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from presagio.errors import PresagioError, ResourceError, StorageError
from presagio.ingest.filing import Intake, Step, file_object
from presagio.storage.objects import open_store
from tests.conftest import RunningServices, eventually_connects
from tests.extent import NIGHTLY
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


@pytest.mark.parametrize("fault", ["500", "503", "cut", "after", "slow", "short", "altered"])
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
        *[("500", first) for first in range(0, 7, 1 if NIGHTLY else 2)],
        *[("hang", first) for first in range(0, 7, 2 if NIGHTLY else 3)],
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


@pytest.mark.parametrize("seed", range(5 if NIGHTLY else 2))
def test_any_mixture_of_faults_ends_in_a_clean_run(
    intake: Intake, behind: Intake, clean_run: State, proxy: FaultyProxy, seed: int
) -> None:
    chance = random.Random(seed)
    lies: list[Fault] = ["short", "altered"]
    faults: list[Fault] = ["none", "none", "500", "503", "cut", "after", "slow", *lies]
    proxy.choose = lambda _number: chance.choice(faults)
    drop(intake)
    _file_until_done(behind)
    assert state(intake) == clean_run


def _kill_postgres(services: RunningServices) -> None:
    found = [
        process
        for process in psutil.process_iter(["cmdline", "ppid"])
        if str(services.layout.postgres) in " ".join(process.info["cmdline"] or [])
        and str(services.ports.postgres) in " ".join(process.info["cmdline"] or [])
    ]
    # A child that was forked just now is called as the server is, until it has set its title.
    pids = {process.pid for process in found}
    (server,) = [process for process in found if process.info["ppid"] not in pids]
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
@pytest.mark.skipif(not NIGHTLY, reason="each restart waits for longer: nightly")
def test_postgres_killed_again_and_again_during_commits_loses_nothing(
    intake: Intake, services: RunningServices, clean_run: State
) -> None:
    done = threading.Event()

    def kill_often() -> None:
        try:
            for _ in range(2):
                eventually_connects(services)
                time.sleep(random.uniform(0.0, 0.05))
                _kill_postgres(services)
        finally:
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


@contextlib.contextmanager
def _open_files(more: int) -> Iterator[None]:
    """Let this process open so many files more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    with contextlib.ExitStack() as stack:
        # Numbers below the highest may be free.
        while (file := os.open(os.devnull, os.O_RDONLY)) <= highest:
            stack.callback(os.close, file)
        os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + more, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        yield


def test_a_process_without_open_files_gives_no_verdict(intake: Intake, clean_run: State) -> None:
    drop(intake)
    failures = []
    for more in range(40):
        with _open_files(more):
            try:
                file_object(intake, KEY, run_id="test")
            except PresagioError as err:
                failures.append(err)
                continue
        break
    assert any(isinstance(err, ResourceError) for err in failures)
    assert state(intake) == clean_run


def test_a_full_disk_gives_no_verdict(
    intake: Intake, clean_run: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drop(intake)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for most in (0, 16, 64):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        try:
            with pytest.raises(ResourceError):
                file_object(intake, KEY, run_id="test")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file_object(intake, KEY, run_id="test")
    assert state(intake) == clean_run
