"""A Ray cluster whose nodes are hosts, the store that they reach, and runs of scoring on it."""

import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from presagio.stack.service import sibling
from tests.scoring.hosts import GATEWAY, Host, Network

_ROOT = Path(__file__).parents[2]
_STORE = f"{GATEWAY}:9000"
# docs/scoring.md says the same of ports and health checks.
_PORTS = (
    "--dashboard-agent-grpc-port=6401", "--metrics-export-port=6402",
    "--runtime-env-agent-port=6403",
)  # fmt: skip
_NOTICES = {
    "health_check_period_ms": 1000, "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 3, "grpc_client_keepalive_time_ms": 5000,
    "grpc_client_keepalive_timeout_ms": 5000,
}  # fmt: skip
_HEAD = (
    "--head", "--port=6379", "--include-dashboard=false", f"--system-config={json.dumps(_NOTICES)}",
)  # fmt: skip
_NODE = (*_PORTS, "--num-cpus=1", "--object-store-memory=100000000")
# A node starts late where the machine is busy.
_PATIENCE = {"RAY_agent_register_timeout_ms": "120000", "RAY_raylet_start_wait_time_s": "120"}
_LIMIT_S = 240


@dataclass
class Cluster:
    """Nodes with one processor each.

    Attributes
    ----------
    network
        Where they are.
    folder
        Short, since sockets lie below it.
    """

    network: Network
    folder: Path
    head: Host = field(init=False)
    _env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        token, key, secret = (secrets.token_hex(32) for _ in range(3))
        (self.folder / "token").write_text(token)
        self._env = _PATIENCE | {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder),
            "PYTHONPATH": f"{_ROOT}:{_ROOT}/src", "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"), "RAY_USAGE_STATS_ENABLED": "0",
            "PRESAGIO_HOME": str(self.folder / "home"), "PRESAGIO_S3_ENDPOINT": f"http://{_STORE}",
            "PRESAGIO_S3_ACCESS_KEY": key, "PRESAGIO_S3_SECRET_KEY": secret,
        }  # fmt: skip
        (self.folder / "home").mkdir()
        # The store looks for further buckets after minutes only.
        for bucket in (self.readings, self.scores):
            bucket.mkdir(parents=True)
        self.network.serve(
            [sibling("rclone"), "serve", "s3", "--addr", _STORE, "--config", "",
             "--cache-dir", str(self.folder / "cache"), str(self.scores.parent)],
            self._env | {"RCLONE_AUTH_KEY": f'"{key},{secret}"'},
        )  # fmt: skip
        self.head = self._start(*_HEAD)

    @property
    def readings(self) -> Path:
        """The bucket with files to score."""
        return self.folder / "objects" / "readings"

    @property
    def scores(self) -> Path:
        """The bucket with what came of them, a folder for each run."""
        return self.folder / "objects" / "scores"

    def join(self) -> Host:
        """Add a node."""
        return self._start(f"--address={self.head.address}:6379")

    def _start(self, *options: str) -> Host:
        folder = self.folder / secrets.token_hex(2)
        folder.mkdir()

        def command(address: str) -> list[str]:
            return [
                "sh", "-c", f'exec "$@" >{folder / "start.log"} 2>&1', "sh", sys.executable, "-m",
                "ray.scripts.scripts", "start", f"--node-ip-address={address}",
                f"--temp-dir={folder}", *_NODE, *options,
            ]  # fmt: skip

        return self.network.add(command, self._env)

    def run(self, artifact: Path, to: str, *, local: bool = False) -> "Run":
        """Begin to score all readings."""
        enter, address = (
            (self.network.enter, "") if local else (self.head.enter, f"{self.head.address}:6379")
        )
        command = [sys.executable, "-m", "tests.scoring.driver", str(artifact), "s3://readings"]
        return Run([*enter, *command, f"s3://scores/{to}/", address], self._env)


class Run:
    """A run of scoring in a process."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._began = time.monotonic()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)

    def wait_for_files(self, count: int) -> None:
        """Wait until so many files are done."""
        assert self._process.stdout is not None
        for _ in range(count):
            assert self._process.stdout.readline() == "done\n"

    def result(self) -> tuple[dict[str, Any], float]:
        """Return what came of all files, and after how many seconds."""
        out, _ = self._process.communicate(timeout=_LIMIT_S)
        assert self._process.returncode == 0
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found, time.monotonic() - self._began


def stop_at_work(host: Host) -> None:
    """Stop a worker of a node while it has a task, so that its task cannot end."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        for process in host.first.children(recursive=True):
            if _is_at_work(process):
                process.suspend()
                if _is_at_work(process):
                    return
                process.resume()
        time.sleep(0.01)
    raise TimeoutError("no task came to the node")


def _is_at_work(process: psutil.Process) -> bool:
    try:
        return " ".join(process.cmdline()).startswith("ray::_call")
    except psutil.Error:
        return False
