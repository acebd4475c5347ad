"""Two nodes of Ray, each in a network of its own; one is killed while files are scored."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal

from presagio.inference.predictor import load_predictor
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.scoring.run import RESULT
from presagio.settings import Settings
from tests.extent import NIGHTLY
from tests.scoring.runs import score_folder

_FILES, _ROWS = 24, 200_000
_HEAD, _WORKER, _PORT = "10.231.52.1", "10.231.52.2", 6379
# What docs/scoring.md says about a cluster whose nodes may die.
_HEALTH = {
    "RAY_health_check_initial_delay_ms": "5000", "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000", "RAY_health_check_failure_threshold": "3",
    "RAY_raylet_start_wait_time_s": "120",
}  # fmt: skip
_START_S, _LATER_S = 150.0, 30.0

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.slow,
    # Nodes are ended by whoever ends their network.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not NIGHTLY, reason="in the nightly run: TEST_PROFILE=nightly"),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


@dataclass(frozen=True)
class Network:
    """Two network namespaces with a cable between them, and what their processes are given."""

    head: str
    worker: str
    env: dict[str, str]

    def start(self, where: str, *command: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ip", "netns", "exec", where, *command], env=self.env | more, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def kill(self, where: str) -> None:
        listed = subprocess.run(
            ["ip", "netns", "pids", where], check=True, capture_output=True, text=True
        )
        for pid in listed.stdout.split():
            if psutil.pid_exists(int(pid)):
                os.kill(int(pid), signal.SIGKILL)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    mark = secrets.token_hex(3)
    head, worker = f"ray-h-{mark}", f"ray-w-{mark}"
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env = own | _HEALTH | {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0", "PRESAGIO_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    with ExitStack() as stack:
        found = Network(head, worker, env)
        for name in (head, worker):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            stack.callback(found.kill, name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", f"vh{mark}", "netns", head, "type", "veth", "peer", f"vw{mark}",
            "netns", worker)  # fmt: skip
        for name, link, address in ((head, f"vh{mark}", _HEAD), (worker, f"vw{mark}", _WORKER)):
            _ip("-n", name, "address", "add", f"{address}/30", "dev", link)
            _ip("-n", name, "link", "set", link, "up")
        yield found


@pytest.fixture
def nodes(network: Network) -> Iterator[Network]:
    """Start two nodes, of one processor each; the folder of sockets has to be a short one."""
    ray = str(Path(sys.executable).with_name("ray"))
    with TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        common = ("--num-cpus=1", "--block", "--object-store-memory=100000000")
        network.start(
            network.head, ray, "start", "--head", f"--node-ip-address={_HEAD}", f"--port={_PORT}",
            "--include-dashboard=false", f"--temp-dir={folder}", *common,
        )  # fmt: skip
        _wait_for(network, 1)
        network.start(
            network.worker, ray, "start", f"--address={_HEAD}:{_PORT}",
            f"--node-ip-address={_WORKER}", *common,
        )  # fmt: skip
        _wait_for(network, 2)
        yield network


def _wait_for(network: Network, nodes: int) -> None:
    """Wait until the control store knows so many nodes."""
    listens = f"import socket; socket.create_connection(({_HEAD!r}, {_PORT}), 2)"
    code = (
        f"import ray; ray.init('{_HEAD}:{_PORT}'); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    until = time.monotonic() + _START_S
    while True:
        if network.start(network.head, sys.executable, "-c", listens).wait() == 0:
            asked = network.start(network.head, sys.executable, "-c", code)
            if str(nodes) in asked.communicate(timeout=_START_S)[0]:
                return
        assert time.monotonic() < until, f"{nodes} nodes have not come together"
        time.sleep(0.5)


def test_a_node_that_is_killed_loses_no_row(
    nodes: Network, artifact: Path, spec: MachineSpec, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for i in range(_FILES):
        rows = pl.concat(simulate(spec, _ROWS, seed=i)).select(spec.input_names)
        rows.write_parquet(source / f"{i:02}.parquet")

    def scored(to: str, *, kill: bool) -> float:
        driver = nodes.start(
            nodes.head, sys.executable, "-m", "tests.scoring.drive_cluster", f"{_HEAD}:{_PORT}",
            str(artifact), str(source), str(tmp_path / to),
        )  # fmt: skip
        if kill:
            while len([*(tmp_path / to).glob(f"*{RESULT}")]) < _FILES // 4:
                assert driver.poll() is None
                time.sleep(0.05)
            nodes.kill(nodes.worker)
        out, _ = driver.communicate(timeout=300)
        found = json.loads(out.splitlines()[-1])
        assert (found["rows"], found["faults"]) == (_FILES * _ROWS, {})
        return float(found["seconds"])

    undisturbed = scored("both", kill=False)
    disturbed = scored("one", kill=True)
    print(f"two nodes {undisturbed:.1f} s, one of them killed {disturbed:.1f} s")
    settings = Settings(home=tmp_path / "home")
    score_folder(load_predictor(artifact), source, tmp_path / "here", settings)
    for i in range(_FILES):
        one, other = (
            pl.read_parquet(tmp_path / to / f"{i:02}.parquet{RESULT}") for to in ("one", "here")
        )
        assert_frame_equal(one, other, abs_tol=1e-9)
    assert disturbed <= undisturbed + _LATER_S
