"""Work in processes of this machine: each task once, whatever one of them does to its process."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from presagio.scoring.engine import ENDED, LocalEngine, cores
from presagio.settings import Settings
from tests.scoring.harm import careful, lost


@pytest.fixture
def engine(tmp_path: Path) -> LocalEngine:
    return LocalEngine(Settings(home=tmp_path), 2, 1 << 30)


def test_a_task_that_ends_its_process_is_lost_and_no_other(
    engine: LocalEngine, tmp_path: Path
) -> None:
    orders = ["threads", "die", "ok", f"die once {tmp_path / 'mark'}", *["ok"] * 6]
    found = sorted(engine.run(careful, enumerate(orders), lost))
    assert [number for number, *_ in found] == [*range(10)]
    assert found[1] == (1, ENDED, 0)
    assert found[3][1] == orders[3]
    assert found[0][1] == str(max(1, cores() // 2))
    assert all(pid not in {0, os.getpid()} for number, _, pid in found if number != 1)


def test_a_task_that_wants_too_much_memory_says_so(engine: LocalEngine) -> None:
    with pytest.raises(MemoryError):
        list(engine.run(careful, [(0, "eat")], lost))


def test_processes_end_when_nobody_takes_more_results(engine: LocalEngine) -> None:
    results = engine.run(careful, [(0, "ok"), (1, "wait"), (2, "wait")], lost)
    assert next(results)[1] == "ok"
    results.close()  # type: ignore[attr-defined]
    assert not _children(os.getpid())


def test_processes_end_with_who_started_them(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from presagio.scoring.engine import LocalEngine\n"
        "from presagio.settings import Settings\n"
        "from tests.scoring.harm import careful, lost\n"
        # Like Airflow's program, which no other process of a task can import.
        "assert __name__ == '__main__'\n"
        f"engine = LocalEngine(Settings(home=Path({str(tmp_path)!r})), 1)\n"
        "for result in engine.run(careful, [(0, 'ok'), (1, 'wait')], lost):\n"
        "    print(result, flush=True)\n"
    )
    (tmp_path / "run.py").write_text(code)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, tmp_path / "run.py"], stdout=subprocess.PIPE, text=True, env=env
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline().strip("()\n").split(", ")[-1]))
        parent.kill()
    deadline = time.monotonic() + 20
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "a process has outlived who started it"
        time.sleep(0.1)


def _children(pid: int) -> list[str]:
    """Return the commands of workers that live."""
    return [
        " ".join(child.cmdline())
        for child in psutil.Process(pid).children()
        if child.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(child.cmdline())
    ]
