"""Hosts on one machine: network namespaces joined by a bridge, each with its processes.

The end of a host's first process is the end of all of them at once, as a power cut is; and a cable
that is drawn before leaves connections open, which the kernel of a killed process would close.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

GATEWAY = "10.77.0.254"
# Who is not root is so in a user namespace.
_USER, _AS_USER = ((), ()) if os.geteuid() == 0 else (
    ("--user", "--map-root-user"), ("--user", "--preserve-credentials")
)  # fmt: skip
_LAYERS = ("--pid", "--mount-proc", "--fork", "--kill-child")
_BRIDGE = (
    "ip link set lo up && ip link add plant type bridge && "
    f"ip addr add {GATEWAY}/24 dev plant && ip link set plant up && echo up && exec cat"
)
# Loopback is down in a new namespace. The first process ends with whoever holds its input.
_HOST = (
    "echo made; read -r _; ip link set lo up && ip link set eth0 up && "
    "ip addr add $0/24 dev eth0 && mount -t tmpfs tmpfs /dev/shm && "
    '"$@" </dev/null >&2 && echo up; exec cat >/dev/null'
)
_NEEDED = (
    "ip link add veth1 type veth peer name veth2 && ip link add plant type bridge && "
    "mount -t tmpfs tmpfs /dev/shm"
)


def why_not() -> str | None:
    """Return why hosts cannot be made here, or None."""
    try:
        tried = subprocess.run(
            ["unshare", *_USER, "--net", *_LAYERS, "sh", "-c", _NEEDED],
            check=False, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    except FileNotFoundError as err:
        return f"no namespaces: {err}"
    if tried.returncode:
        return f"no namespaces: {tried.stderr.strip() or tried.returncode}"
    return None


def _open(command: list[str], env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )


def _says(process: subprocess.Popen[str], expected: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == expected, "see standard error"


@dataclass(frozen=True)
class Host:
    """A host of a network.

    Attributes
    ----------
    first
        Its first process.
    cable
        What its network card is called at the other end.
    """

    address: str
    first: psutil.Process
    cable: str
    network: "Network"

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command begins with to run here."""
        return (
            "nsenter", f"--target={self.first.pid}", *_AS_USER, "--net", "--pid", "--mount",
        )  # fmt: skip

    def draw_cable(self) -> None:
        """Let nothing go to it or come from it any longer."""
        self.network.run("ip", "link", "set", self.cable, "down")

    def kill(self) -> None:
        """End all of its processes, without a last breath."""
        os.kill(self.first.pid, signal.SIGKILL)


@dataclass
class Network:
    """A bridge with an address, in a namespace where servers can run, and its hosts."""

    bridge: subprocess.Popen[str]
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command begins with to run at the bridge."""
        return ("nsenter", f"--target={self.bridge.pid}", *_AS_USER, "--net")

    def run(self, *command: str) -> None:
        """Run a command at the bridge."""
        subprocess.run([*self.enter, *command], check=True, timeout=30)

    def serve(self, command: list[str], env: dict[str, str]) -> None:
        """Start a server at the bridge."""
        self._started.append(_open([*self.enter, *command], env))

    def add(self, starting: Callable[[str], list[str]], env: dict[str, str]) -> Host:
        """Add a host, and wait until its servers have started, by a command for its address."""
        number = len(self._started) + 1
        address, cable = f"10.77.0.{number}", f"veth{number}"
        command = ["sh", "-c", _HOST, address, *starting(address)]
        made = _open([*self.enter, "unshare", "--net", *_LAYERS, *command], env)
        self._started.append(made)
        _says(made, "made")
        self.run(
            "ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0",
            "netns", str(made.pid),
        )  # fmt: skip
        self.run("ip", "link", "set", cable, "master", "plant", "up")
        assert made.stdin is not None
        print(file=made.stdin, flush=True)
        _says(made, "up")
        (first,) = psutil.Process(made.pid).children()
        return Host(address, first, cable, self)

    def end(self) -> None:
        """End everything that runs in it."""
        for process in [*reversed(self._started), self.bridge]:
            process.kill()
            process.communicate()


@contextmanager
def open_network() -> Iterator[Network]:
    """Make a network that ends with the block."""
    network = Network(_open(["unshare", *_USER, "--net", "sh", "-c", _BRIDGE]))
    try:
        _says(network.bridge, "up")
        yield network
    finally:
        network.end()
