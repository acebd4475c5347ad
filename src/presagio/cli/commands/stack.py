"""Commands on a stack that runs: down, status, logs."""

import os
import signal
import sys
import time
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, Home, console, print_json, print_table, say
from presagio.cli.stack_view import COLUMNS, stack_row, stack_table
from presagio.errors import NotFoundError, StackError
from presagio.stack.layout import Layout
from presagio.stack.processes import end, left_over
from presagio.stack.state import is_running, read_status, supervisor_pid, wait_until_stopped

_STOP_LIMIT_S = 60.0
_POLL_S = 0.2


def _print_stopped(text: str, *, stopped: bool, as_json: bool) -> None:
    if as_json:
        print_json({"stopped": stopped})
    else:
        say(text)


def down(home: Home = None, as_json: AsJson = False) -> None:
    """Stop the stack; its data stay."""
    layout = Layout(Parts(home).settings.home)
    supervisor = supervisor_pid(layout)
    if supervisor is not None:
        os.kill(supervisor, signal.SIGTERM)
        if not wait_until_stopped(layout, _STOP_LIMIT_S):
            raise StackError(f"the supervisor (pid {supervisor}) has not stopped yet; try again")
        _print_stopped("The stack is stopped.", stopped=True, as_json=as_json)
        return
    found = left_over(layout)
    end(found)
    text = f"{len(found)} processes without a supervisor were ended." if found else "No stack runs."
    _print_stopped(text, stopped=bool(found), as_json=as_json)


def status(home: Home = None, as_json: AsJson = False) -> None:
    """Show the services of the stack, and whether all of them are healthy."""
    layout = Layout(Parts(home).settings.home)
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
    layout = Layout(Parts(home).settings.home)
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
