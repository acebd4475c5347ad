"""The supervisor on small but real processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from presagio.deployment.health import answers
from presagio.errors import StackError
from presagio.stack.layout import Layout
from presagio.stack.processes import end, left_over
from presagio.stack.service import Service
from presagio.stack.state import StackStatus, is_running, read_status, supervisor_pid
from presagio.stack.supervisor import Supervisor
from tests.conftest import RunningSupervisor, free_ports

# A web server with a child of its own, as Airflow's parts have.
SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "home")
    layout.create()
    return layout


def _server(name: str, *needs: str, port: int | None = None) -> Service:
    port = port or free_ports().api
    return Service(
        name=name, command=(sys.executable, "-c", SERVER, str(port)), env=dict(os.environ),
        needs=needs, check=answers(port, "/"), address=f"127.0.0.1:{port}", port=port,
    )  # fmt: skip


def _step(name: str, code: str, *needs: str) -> Service:
    return Service(name, (sys.executable, "-c", code), env=dict(os.environ), needs=needs)


def _eventually(found: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not found():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def _status(running: RunningSupervisor, name: str) -> tuple[str, int, int | None]:
    (service,) = [s for s in running.statuses[-1].services if s.name == name]
    return service.state, service.restarts, service.pid


def test_services_start_when_what_they_need_is_healthy(layout: Layout) -> None:
    services = [_server("top", "step"), _step("step", "pass", "bottom"), _server("bottom")]
    with RunningSupervisor(services, layout) as running:
        order = []
        for status in running.statuses:
            for service in status.services:
                if service.state != "waiting" and service.name not in order:
                    order.append(service.name)
        assert order == ["bottom", "step", "top"]
        last = {service.name: service for service in running.statuses[-1].services}
    states = {name: service.state for name, service in last.items()}
    assert states == {"top": "healthy", "step": "done", "bottom": "healthy"}
    # The timeline of the start: each began when what it needs was there (rounded to 0.1 s).
    for name, need in (("step", "bottom"), ("top", "step")):
        assert last[name].after >= last[need].after + last[need].seconds - 0.2


def test_nothing_is_left_after_a_stop(layout: Layout) -> None:
    with RunningSupervisor([_server("one"), _server("two")], layout) as running:
        assert len(left_over(layout)) >= 4
        assert supervisor_pid(layout) == os.getpid()
    assert left_over(layout) == []
    assert not is_running(layout)
    assert running.statuses[-1].phase == "stopped"
    assert read_status(layout) == running.statuses[-1]


def test_a_killed_service_is_restarted_and_shown(layout: Layout) -> None:
    with RunningSupervisor([_server("one")], layout) as running:
        _, restarts, pid = _status(running, "one")
        assert (restarts, pid is not None) == (0, True)
        os.kill(pid or 0, signal.SIGKILL)
        _eventually(lambda: _status(running, "one")[:2] == ("healthy", 1))
        assert any(s.state == "restarting" for status in running.statuses for s in status.services)
        assert _status(running, "one")[2] != pid


def test_back_off_grows_with_each_failure(layout: Layout) -> None:
    with RunningSupervisor([_server("one")], layout) as running:
        waits = []
        for restarts in (1, 2):
            pid = _status(running, "one")[2]
            os.kill(pid or 0, signal.SIGKILL)
            began = time.monotonic()
            _eventually(lambda n=restarts: _status(running, "one")[:2] == ("starting", n))  # type: ignore[misc]
            waits.append(time.monotonic() - began)
            _eventually(lambda: _status(running, "one")[0] == "healthy")
    assert waits[1] > waits[0] + 0.5


# Listens at its first and third start, and says nothing at its second.
MOODY = """
import http.server, pathlib, sys, time
starts = pathlib.Path(sys.argv[2])
number = int(starts.read_text()) + 1 if starts.exists() else 1
starts.write_text(str(number))
if number == 2:
    time.sleep(600)
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


def test_a_service_that_hangs_after_a_restart_is_restarted_again(
    layout: Layout, tmp_path: Path
) -> None:
    port = free_ports().api
    command = (sys.executable, "-c", MOODY, str(port), str(tmp_path / "starts"))
    service = Service("moody", command, env=dict(os.environ), check=answers(port, "/"), port=port)
    with RunningSupervisor([service, _server("calm")], layout, start_limit_s=5.0) as running:
        calm = _status(running, "calm")
        os.kill(_status(running, "moody")[2] or 0, signal.SIGKILL)
        _eventually(lambda: _status(running, "moody")[:2] == ("healthy", 2), limit_s=30)
        assert _status(running, "calm") == calm


def test_a_service_that_is_never_healthy_is_given_up(layout: Layout) -> None:
    sleeper = Service(
        "sleeper", (sys.executable, "-c", "import time; time.sleep(600)"),
        env=dict(os.environ), check=answers(1, "/"),
    )  # fmt: skip
    with (
        pytest.raises(StackError, match="sleeper is not healthy after 1 s"),
        RunningSupervisor([sleeper], layout, start_limit_s=1.0),
    ):
        pass
    assert left_over(layout) == []


def test_a_check_that_fails_in_itself_is_not_health(layout: Layout) -> None:
    def broken(_started: object) -> bool:
        raise RuntimeError

    service = Service("one", _server("one").command, env=dict(os.environ), check=broken)
    with (
        pytest.raises(StackError, match="one is not healthy"),
        RunningSupervisor([service], layout, start_limit_s=1.0),
    ):
        pass


def test_a_program_that_is_not_there_is_named(layout: Layout) -> None:
    service = Service("lost", ("/no/such/program",), env=dict(os.environ), check=answers(1, "/"))
    with (
        pytest.raises(StackError, match="lost cannot be started: /no/such/program"),
        RunningSupervisor([service], layout),
    ):
        pass


def test_a_service_that_does_not_start_shows_its_log(layout: Layout) -> None:
    bad = Service(
        "bad", (sys.executable, "-c", "print('no luck'); raise SystemExit(3)"),
        env=dict(os.environ), check=answers(1, "/"),
    )  # fmt: skip
    with pytest.raises(StackError) as failed, RunningSupervisor([_server("good"), bad], layout):
        pass
    message = str(failed.value)
    assert "bad ended with exit status 3" in message
    assert "no luck" in message
    assert str(layout.log("bad")) in message
    assert left_over(layout) == []
    status = read_status(layout)
    assert status is not None
    assert (status.phase, status.message) == ("failed", message)


def test_a_step_that_fails_stops_everything(layout: Layout) -> None:
    with (
        pytest.raises(StackError, match="step ended with exit status 1"),
        RunningSupervisor([_server("one"), _step("step", "raise SystemExit(1)")], layout),
    ):
        pass
    assert left_over(layout) == []


def test_the_progress_of_a_step_is_shown(layout: Layout) -> None:
    code = textwrap.dedent("""
        import time
        for i in range(1, 6):
            print('{"done": %d, "total": 5}' % i, flush=True)
            time.sleep(0.3)
        print('{"note": "all five"}', flush=True)
    """)
    with RunningSupervisor([_step("step", code)], layout) as running:
        notes = [s.note for status in running.statuses for s in status.services]
    assert "3/5" in notes
    assert notes[-1] == "all five"


def test_a_second_supervisor_is_refused(layout: Layout) -> None:
    with RunningSupervisor([_server("one")], layout):
        second = Supervisor([_server("two")], layout, lambda _status: None)
        with pytest.raises(StackError, match="a stack runs already"):
            second.run()


SUPERVISE = """
import os, sys
from pathlib import Path
from presagio.deployment.health import answers
from presagio.stack.layout import Layout
from presagio.stack.service import Service
from presagio.stack.supervisor import Supervisor
home, port, code = sys.argv[1:]
service = Service(
    "one", (sys.executable, "-c", code, port), env=dict(os.environ),
    check=answers(int(port), "/"), port=int(port),
)
Supervisor([service], Layout(Path(home)), lambda status: None).run()
"""


def test_a_crash_of_the_supervisor_leaves_no_process_behind(layout: Layout) -> None:
    port = str(free_ports().api)
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(layout.home), port, SERVER], cwd="/"
    )

    def healthy() -> bool:
        status = read_status(layout)
        return status is not None and status.phase == "healthy"

    _eventually(healthy)
    assert len(left_over(layout, spare=[supervisor.pid])) >= 2
    supervisor.kill()
    supervisor.wait()
    _eventually(lambda: left_over(layout) == [] and not _guardians(layout))


def _guardians(layout: Layout) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if "presagio.stack.guardian" in command and str(layout.home) in command:
            found.append(process)
    return found


def test_left_overs_of_another_time_are_ended_before_a_start(layout: Layout) -> None:
    stray = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], cwd=layout.work
    )
    with RunningSupervisor([_server("one")], layout):
        assert stray.wait(timeout=5) is not None


def test_what_does_not_listen_is_killed(layout: Layout) -> None:
    deaf = subprocess.Popen(
        [sys.executable, "-c",
         "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True);"
         "time.sleep(600)"],
        cwd=layout.work, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert deaf.stdout is not None
    with deaf.stdout:
        deaf.stdout.readline()
    end(left_over(layout), grace_s=0.2)
    deaf.wait(timeout=5)
    assert left_over(layout) == []


def test_two_stacks_do_not_know_each_other(tmp_path: Path) -> None:
    layouts = [Layout(tmp_path / name) for name in ("a", "b")]
    for layout in layouts:
        layout.create()
    with RunningSupervisor([_server("one")], layouts[0]):
        with RunningSupervisor([_server("one")], layouts[1]):
            pass
        assert left_over(layouts[1]) == []
        assert len(left_over(layouts[0])) >= 2


def test_no_status_before_the_first_start(layout: Layout) -> None:
    assert read_status(layout) is None
    assert not is_running(layout)


def test_a_status_that_cannot_be_read_says_so(layout: Layout) -> None:
    layout.state.write_text("{", encoding="utf-8")
    with pytest.raises(StackError, match="cannot be read"):
        read_status(layout)


def test_a_status_can_be_read_back(layout: Layout) -> None:
    seen: list[StackStatus] = []
    with RunningSupervisor([_step("step", "pass")], layout) as running:
        seen = running.statuses
    assert StackStatus.model_validate_json(seen[-1].model_dump_json()) == seen[-1]
