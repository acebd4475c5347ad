"""Disaster recovery: save a running stack, lose all of it, and bring it back on an empty machine.

The commands are those of ``deploy/backup.sh``: PostgreSQL's own dumps of three databases, and
``python -m presagio.deployment.backup`` for the buckets.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.intake import many_files
from bench.report import table, write
from bench.running import Stack, running_stack
from bench.sizes import Size
from presagio.deployment.databases import DATABASES, SUPERUSER
from presagio.settings import CREDENTIALS_FILE
from presagio.stack.credentials import load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports, free_ports, port_options
from presagio.stack.postgres import create_cluster, server_command
from presagio.stack.services import build_services
from presagio.stack.state import StackStatus
from presagio.stack.supervisor import Supervisor

_BUCKETS = ("csv-data", "data", "mlflow")
_STORES = {"postgres", "s3", "databases", "buckets"}


def _in_postgres(stack: Stack, port: int, program: str, *arguments: str) -> list[str]:
    """Return the command of one of PostgreSQL's programs, as superuser."""
    server = Path(server_command(Layout(stack.home), port)[0])
    return [str(server.with_name(program)), "-h", "127.0.0.1", "-p", str(port),
            "-U", SUPERUSER, *arguments]  # fmt: skip


def _environment(stack: Stack) -> dict[str, str]:
    password = load_credentials(Layout(stack.home)).postgres_password
    return os.environ | {"PRESAGIO_HOME": str(stack.home), "PGPASSWORD": password}


def _objects(what: str) -> list[str]:
    return [sys.executable, "-m", "presagio.deployment.backup", what, *_BUCKETS]


def _save(stack: Stack, port: int, folder: Path) -> tuple[float, float]:
    """Save databases and buckets; return the seconds of each."""
    env, began = _environment(stack), time.monotonic()
    for database in DATABASES.values():
        with (folder / f"{database}.dump").open("wb") as out:
            command = _in_postgres(stack, port, "pg_dump", "--format=custom", database)
            subprocess.run(command, check=True, stdout=out, env=env)
    dumped = time.monotonic()
    with (folder / "buckets.tar").open("wb") as out:
        subprocess.run(_objects("save"), check=True, stdout=out, env=env)
    return dumped - began, time.monotonic() - dumped


def _restore(stack: Stack, port: int, folder: Path) -> tuple[float, float]:
    """Put databases and buckets back; return the seconds of each."""
    env, began = _environment(stack), time.monotonic()
    options = ("--clean", "--if-exists", "--single-transaction")
    for database in DATABASES.values():
        with (folder / f"{database}.dump").open("rb") as source:
            command = _in_postgres(stack, port, "pg_restore", *options, f"--dbname={database}")
            subprocess.run(command, check=True, stdin=source, env=env)
    restored = time.monotonic()
    with (folder / "buckets.tar").open("rb") as source:
        subprocess.run(_objects("restore"), check=True, stdin=source, env=env)
    return restored - began, time.monotonic() - restored


@contextmanager
def _stores(stack: Stack, ports: Ports) -> Iterator[None]:
    """Run PostgreSQL and S3 of an empty home, and nothing that writes to them."""
    layout = Layout(stack.home)
    layout.create()
    credentials = load_credentials(layout)
    create_cluster(layout, credentials.postgres_password)
    built = build_services(stack.settings, layout, ports, credentials)
    ready = threading.Event()

    def watch(status: StackStatus) -> None:
        if status.phase == "healthy":
            ready.set()

    supervisor = Supervisor([each for each in built if each.name in _STORES], layout, watch)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        assert ready.wait(120)
        yield
    finally:
        supervisor.request_stop()
        thread.join()


def _state(stack: Stack) -> tuple[int, int, str]:
    """Return what must be there again: receipts, objects, champions."""
    objects = sum(1 for bucket in _BUCKETS for _ in stack.store.list(bucket))
    champion = stack.presagio("models", "--json").stdout.count('"champion"')
    return len(stack.receipts()), objects, str(champion)


def run(size: Size) -> None:
    """Measure, and write the table."""
    files = size.pick(1000, 300, 5)
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as scratch:
        folder, home = Path(scratch) / "backup", Path(scratch) / "home"
        folder.mkdir()
        home.mkdir(mode=0o755)
        Path(scratch).chmod(0o755)
        with running_stack() as stack:
            many_files(stack, files)
            before = _state(stack)
            (port,) = [each["address"].rpartition(":")[2] for each in stack.services()
                       if each["name"] == "postgres"]  # fmt: skip
            dumped, copied = _save(stack, int(port), folder)
            # The secrets, which are kept elsewhere than the backup.
            shutil.copy(stack.home / CREDENTIALS_FILE, home / CREDENTIALS_FILE)
        lost, ports = time.monotonic(), free_ports()
        other = Stack(home)
        with _stores(other, ports):
            restored, returned = _restore(other, ports.postgres, folder)
        try:
            other.presagio("up", "--detach", *port_options(ports))
            whole = time.monotonic() - lost
            # Anew: its settings were read before its services had addresses.
            after = _state(Stack(home))
        finally:
            other.presagio("down")
        bytes_saved = sum(path.stat().st_size for path in folder.iterdir())
    assert after[0] == before[0], (before, after)
    assert after[1] >= before[1], (before, after)
    assert after[2] == before[2], (before, after)
    rows: list[tuple[object, ...]] = [
        (f"saved while it runs: three databases ({before[0]:,} receipts)", f"{dumped:.1f} s"),
        (f"saved: {before[1]:,} objects of three buckets", f"{copied:.1f} s"),
        ("the backup", f"{bytes_saved / 2**20:,.1f} MiB"),
        ("put back into an empty PostgreSQL", f"{restored:.1f} s"),
        ("put back into an empty S3", f"{returned:.1f} s"),
        (
            "from nothing to all services healthy, with receipts, objects and champion",
            f"{whole:.0f} s",
        ),
    ]
    write("recovery", table(("what", "measured"), rows), size)
