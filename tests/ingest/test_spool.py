"""Spool folders: each process, in whatever container, removes what is left and nothing else."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from presagio.ingest.spool import spool_folder

_DEAD = 2**22 + 1  # more than any process id
_WORK = """
import subprocess, sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from presagio.ingest.spool import spool_folder
with spool_folder() as folder:
    (folder / "source").write_bytes(b"x" * 1000)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(folder, child.pid, flush=True)
    time.sleep(60)
"""
_OVER_AND_OVER = """
import os, sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from presagio.ingest.spool import spool_folder
end, rounds = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    with spool_folder() as folder:
        path = folder / "source"
        path.write_bytes(b"x")
        assert path.exists()
    rounds += 1
print(rounds)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _started(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _former(temporary: Path, pid: int, *, age_s: float) -> Path:
    """Make a folder as versions did that named it after their process and locked nothing."""
    folder = temporary / f"presagio-spool-{pid}-abc12_xy"
    folder.mkdir()
    (folder / "source.csv").write_text("x", encoding="utf-8")
    at = time.time() - age_s
    for path in (folder / "source.csv", folder):
        os.utime(path, (at, at))
    return folder


def test_a_folder_goes_afterwards(temporary: Path) -> None:
    with spool_folder() as folder:
        (folder / "x").write_text("x", encoding="utf-8")
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_a_living_process_keeps_its_folder_and_a_killed_one_does_not(temporary: Path) -> None:
    with _started(_WORK, temporary) as worker:
        assert worker.stdout
        name, child = worker.stdout.readline().split()
        living = Path(name)
        with spool_folder() as folder:
            assert {*temporary.iterdir()} == {living, folder}
        worker.kill()
        worker.wait()
        # A program that the killed process has started has not inherited the lock.
        with spool_folder() as folder:
            assert list(temporary.iterdir()) == [folder]
        os.kill(int(child), signal.SIGKILL)


def test_a_forked_child_keeps_the_folder_while_it_lives(temporary: Path) -> None:
    code = """
import os, signal, sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from presagio.ingest.spool import spool_folder
with spool_folder() as folder:
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
        os._exit(0)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with _started(code, temporary) as worker:
        assert worker.stdout
        child = int(worker.stdout.readline())
        worker.wait()
        (living,) = temporary.iterdir()
        with spool_folder():
            assert living.exists()
        os.kill(child, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while living.exists() and time.monotonic() < deadline:
            with spool_folder():
                time.sleep(0.05)
        assert not living.exists()


def test_a_folder_whose_process_id_is_dead_here_stays_while_it_is_locked(temporary: Path) -> None:
    """As in two containers with one ``TMPDIR``: each has process ids of its own."""
    names = (f"presagio-spool-{_DEAD}-abc12_xy", "presagio-spool-locked-abc12_xy")
    locks = []
    for name in names:
        folder = temporary / name
        folder.mkdir()
        locks.append((folder / ".lock").open("w", encoding="utf-8"))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)
        os.utime(folder / ".lock", (0, 0))
        os.utime(folder, (0, 0))
    with spool_folder():
        assert {path.name for path in temporary.iterdir()} > {*names}
    for lock in locks:
        lock.close()
    with spool_folder():
        pass
    assert list(temporary.iterdir()) == []


def test_folders_of_a_former_version_go_once_nobody_can_work_in_them(temporary: Path) -> None:
    day = 24 * 3600.0
    gone = _former(temporary, _DEAD, age_s=2 * day)
    # Dead here, but perhaps alive in another container; alive here; nobody's.
    staying = [
        _former(temporary, _DEAD + 1, age_s=0.5 * day),
        _former(temporary, os.getppid(), age_s=2 * day),
        _former(temporary, 10**30, age_s=2 * day),
    ]
    with spool_folder():
        pass
    assert not gone.exists()
    assert {*temporary.iterdir()} == {*staying}
    assert all((folder / "source.csv").exists() for folder in staying)


def test_what_is_no_folder_of_ours_stays(temporary: Path) -> None:
    elsewhere = temporary / "somebody-else"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x", encoding="utf-8")
    (temporary / "presagio-spool-other").mkdir()
    (temporary / "presagio-spool-locked-file").write_text("x", encoding="utf-8")
    (temporary / "presagio-spool-locked-link").symlink_to(elsewhere)
    # In a place that all may write to, a lock may be a link to a file of its maker's choice.
    trap = temporary / "presagio-spool-locked-trap"
    trap.mkdir()
    (trap / ".lock").symlink_to(elsewhere / "kept")
    with spool_folder():
        pass
    assert len(list(temporary.iterdir())) == 5
    assert (elsewhere / "kept").read_text(encoding="utf-8") == "x"


def test_nobodys_clean_up_takes_a_folder_that_is_just_made(temporary: Path) -> None:
    workers = [_started(_OVER_AND_OVER, temporary, 1.5) for _ in range(2)]

    def once(_: int) -> None:
        with spool_folder() as folder:
            (folder / "source").write_bytes(b"x")
            assert (folder / "source").exists()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(500)))
    for worker in workers:
        output, _ = worker.communicate()
        assert worker.returncode == 0
        assert int(output) > 100
    assert list(temporary.iterdir()) == []
