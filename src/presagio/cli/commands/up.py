"""The command that starts the stack."""

import signal
import subprocess
import sys
import time
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import Home, console, warn
from presagio.cli.stack_view import StackView, print_welcome
from presagio.errors import StackError
from presagio.fleet import load_fleets
from presagio.machine.spec import DEFAULT_SPEC
from presagio.settings import Settings
from presagio.stack.credentials import load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.postgres import create_cluster
from presagio.stack.services import build_services
from presagio.stack.state import StackStatus, is_running, read_status
from presagio.stack.supervisor import Supervisor

_POLL_S = 0.2


def up(
    home: Home = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything is healthy.")
    ] = False,
    port_offset: Annotated[
        int, typer.Option(help="Add this to every port, so that two stacks can run side by side.")
    ] = 0,
    port: Annotated[
        list[str] | None,
        typer.Option(
            help="Change one port: api=8001. Services: console api airflow mlflow s3 postgres "
            "broker."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Celery workers for the intake, beside one that trains and a broker; with 0, the "
            "scheduler runs the tasks itself.",
            min=0,
            max=32,
        ),
    ] = 0,
) -> None:
    """Start the whole stack without Docker, and keep it running until Ctrl-C."""
    parts = Parts(home)
    settings, layout = parts.settings, Layout(parts.settings.home)
    try:
        ports = Ports().moved(port_offset).with_changes(port or [])
    except StackError as err:
        raise typer.BadParameter(str(err)) from err
    # A spec that is not valid is reported here, and not by each service in its log.
    fleets = load_fleets(settings)
    fleets.check_any()
    for fault in fleets.faults:
        warn(f"fleet {fault.name} is not served: {fault.message}")
    has_demo = fleets.default is not None and fleets.default.name == DEFAULT_SPEC
    layout.create()
    if is_running(layout):
        raise StackError(f"a stack runs already in {layout.home}; see: presagio status")
    if detach:
        options = [f"--port-offset={port_offset}", f"--workers={workers}"]
        options += [f"--port={change}" for change in port or []]
        _up_detached(layout, options, has_demo=has_demo)
    else:
        _up_in_foreground(settings, layout, ports, workers, has_demo=has_demo)


def _up_in_foreground(
    settings: Settings, layout: Layout, ports: Ports, workers: int, *, has_demo: bool
) -> None:
    credentials = load_credentials(layout)
    create_cluster(layout, credentials.postgres_password)
    welcomed = False

    def watch(status: StackStatus) -> None:
        nonlocal welcomed
        view(status)
        if status.phase == "healthy" and not welcomed:
            welcomed = True
            print_welcome(console, status, layout, has_demo=has_demo)

    with StackView(console) as view:
        services = build_services(settings, layout, ports, credentials, workers=workers)
        supervisor = Supervisor(services, layout, watch)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, supervisor.request_stop)
        supervisor.run()


def _up_detached(layout: Layout, options: list[str], *, has_demo: bool) -> None:
    layout.state.unlink(missing_ok=True)
    log = layout.log("supervisor")
    command = [sys.executable, "-m", "presagio", "up", "--home", str(layout.home), *options]
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        status = _follow(layout, supervisor)
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        raise
    if status is None:
        failed = read_status(layout)
        reason = failed.message if failed and failed.message else log.read_text(encoding="utf-8")
        raise StackError(reason.strip() or f"the stack did not start; read {log}")
    print_welcome(console, status, layout, has_demo=has_demo)


def _follow(layout: Layout, supervisor: subprocess.Popen[bytes]) -> StackStatus | None:
    with StackView(console) as view:
        while supervisor.poll() is None:
            status = read_status(layout)
            if status is not None:
                view(status)
                if status.phase == "healthy":
                    return status
            time.sleep(_POLL_S)
    return None
