"""Commands on the local stack: up, down, status, logs."""

import os
import signal
import subprocess
import sys
import time
from typing import Annotated

import typer

from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, Home, console, print_json, print_table, say
from presagio.cli.stack_view import COLUMNS, StackView, print_welcome, stack_row, stack_table
from presagio.errors import NotFoundError, StackError
from presagio.settings import Settings, load_settings
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.state import (
    StackStatus,
    is_running,
    read_status,
    supervisor_pid,
    wait_until_stopped,
)

_STOP_LIMIT_S = 60.0
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
        typer.Option(help="Change one port: api=8001. Services: api airflow mlflow s3 postgres."),
    ] = None,
) -> None:
    """Start the whole stack without Docker, and keep it running until Ctrl-C."""
    settings = load_settings(home)
    layout = Layout(settings.home)
    try:
        ports = Ports().moved(port_offset).with_changes(port or [])
    except StackError as err:
        raise typer.BadParameter(str(err)) from err
    layout.create()
    if is_running(layout):
        raise StackError(f"a stack runs already in {layout.home}; see: presagio status")
    if detach:
        _up_detached(layout, port_offset, port or [])
    else:
        _up_in_foreground(settings, layout, ports)


def _up_in_foreground(settings: Settings, layout: Layout, ports: Ports) -> None:
    # Imported late: the other commands need none of it.
    from presagio.stack.credentials import load_credentials  # noqa: PLC0415
    from presagio.stack.postgres import create_cluster  # noqa: PLC0415
    from presagio.stack.services import build_services  # noqa: PLC0415
    from presagio.stack.supervisor import Supervisor  # noqa: PLC0415

    credentials = load_credentials(layout)
    create_cluster(layout, credentials.postgres_password)
    welcomed = False

    def watch(status: StackStatus) -> None:
        nonlocal welcomed
        view(status)
        if status.phase == "healthy" and not welcomed:
            welcomed = True
            print_welcome(console, status, layout)

    with StackView(console) as view:
        services = build_services(settings, layout, ports, credentials)
        supervisor = Supervisor(services, layout, watch)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, supervisor.request_stop)
        supervisor.run()


def _up_detached(layout: Layout, port_offset: int, port: list[str]) -> None:
    layout.state.unlink(missing_ok=True)
    log = layout.log("supervisor")
    command = [sys.executable, "-m", "presagio", "up", "--home", str(layout.home)]
    command += ["--port-offset", str(port_offset), *(f"--port={change}" for change in port)]
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
    print_welcome(console, status, layout)


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


def _print_stopped(text: str, *, stopped: bool, as_json: bool) -> None:
    if as_json:
        print_json({"stopped": stopped})
    else:
        say(text)


def down(home: Home = None, as_json: AsJson = False) -> None:
    """Stop the stack; its data stay."""
    layout = Layout(load_settings(home).home)
    supervisor = supervisor_pid(layout)
    if supervisor is not None:
        os.kill(supervisor, signal.SIGTERM)
        if not wait_until_stopped(layout, _STOP_LIMIT_S):
            raise StackError(f"the supervisor (pid {supervisor}) has not stopped yet; try again")
        _print_stopped("The stack is stopped.", stopped=True, as_json=as_json)
        return
    from presagio.stack.processes import end, left_over  # noqa: PLC0415 - needs psutil

    found = left_over(layout)
    end(found)
    text = f"{len(found)} processes without a supervisor were ended." if found else "No stack runs."
    _print_stopped(text, stopped=bool(found), as_json=as_json)


def status(home: Home = None, as_json: AsJson = False) -> None:
    """Show the services of the stack, and whether all of them are healthy."""
    layout = Layout(load_settings(home).home)
    found = read_status(layout)
    running = is_running(layout)
    if as_json:
        body = found.model_dump() if found and running else {"phase": "stopped", "services": []}
        print_json(body)
    elif found is None or not running:
        say(f"No stack runs in {layout.home}; start one with: presagio up")
    elif console.is_terminal:
        console.print(stack_table(found))
    else:
        print_table(COLUMNS, list(map(stack_row, found.services)))
    fine = {"healthy", "done"}
    healthy = found and running and all(service.state in fine for service in found.services)
    leave_unless_done(ExitStatus.DONE if healthy else ExitStatus.NOT_HEALTHY)


def logs(
    service: Annotated[str, typer.Argument(help="A service, as presagio status names it.")],
    home: Home = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print the log of a service."""
    layout = Layout(load_settings(home).home)
    path = layout.log(service)
    if not path.exists():
        known = sorted(log.stem for log in layout.logs.glob("*.log"))
        listed = f"there are: {', '.join(known)}" if known else "start a stack: presagio up"
        raise NotFoundError(f"no log of {service!r} in {layout.logs}; {listed}")
    with path.open(encoding="utf-8", errors="replace") as log:
        for line in log.readlines()[-lines:]:
            sys.stdout.write(line)
        while follow:
            line = log.readline()
            if line:
                sys.stdout.write(line)
            else:
                sys.stdout.flush()
                time.sleep(_POLL_S)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (up, down, status, logs):
        app.command()(command)
