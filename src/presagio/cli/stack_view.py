"""The stack on the terminal: a live table, or a line a change where there is no terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from presagio.settings import CREDENTIALS_FILE
from presagio.stack.credentials import AIRFLOW_USER
from presagio.stack.layout import Layout
from presagio.stack.state import ServiceStatus, StackStatus

_COLOURS = {
    "waiting": "dim",
    "starting": "yellow",
    "healthy": "green",
    "done": "green",
    "unhealthy": "red",
    "restarting": "red",
    "failed": "bold red",
    "stopping": "yellow",
    "stopped": "dim",
}
_ADDRESSES = {
    "api": "Inference API, documented at /docs: user admin, password PRESAGIO_ADMIN_PASSWORD",
    "airflow-apiserver": "Airflow: user {user}, password PRESAGIO_AIRFLOW_ADMIN_PASSWORD",
    "mlflow": "MLflow: no login on this machine",
    "s3": "S3: keys PRESAGIO_S3_ACCESS_KEY and PRESAGIO_S3_SECRET_KEY",
    "postgres": "PostgreSQL: user presagio, password PRESAGIO_DB_PASSWORD",
}


def _note(service: ServiceStatus) -> RenderableType:
    done, _, total = service.note.partition("/")
    if done.isdecimal() and total.isdecimal():
        return ProgressBar(total=float(total), completed=float(done), width=24)
    return f"{service.restarts} restarts" if service.restarts else service.note


def stack_table(status: StackStatus) -> Table:
    """Draw the services of a stack."""
    table = Table(title=f"Presagio: {status.phase}", title_justify="left")
    for column in ("Service", "State", "Address", "Seconds", ""):
        table.add_column(
            column, justify="right" if column == "Seconds" else "left", no_wrap=bool(column)
        )
    for service in status.services:
        colour = _COLOURS.get(service.state, "")
        seconds = f"{service.seconds:.1f}" if service.seconds else ""
        state = f"[{colour}]{service.state}[/]" if colour else service.state
        table.add_row(service.name, state, service.address, seconds, _note(service))
    return table


class StackView:
    """Shows each status it is called with; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._seen: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, status: StackStatus) -> None:
        """Show what has changed."""
        if self._live:
            self._live.update(stack_table(status), refresh=True)
            return
        for service in status.services:
            shown = f"{service.state} {service.note}".strip()
            if self._seen.get(service.name, "waiting") != shown:
                seconds = f" ({service.seconds:.1f} s)" if service.seconds else ""
                self._console.print(
                    f"{service.name:<22} {shown}{seconds} {service.address}", soft_wrap=True
                )
            self._seen[service.name] = shown


def print_welcome(console: Console, status: StackStatus, layout: Layout) -> None:
    """Say where everything is, and what to try next."""
    console.print("\n[bold green]The stack is up.[/]\n")
    for service in status.services:
        if service.name in _ADDRESSES:
            about = _ADDRESSES[service.name].format(user=AIRFLOW_USER)
            console.print(f"  {service.address:<24} {about}", soft_wrap=True)
    console.print(f"\nPasswords and keys: {layout.home / CREDENTIALS_FILE}", soft_wrap=True)
    console.print(
        "\nTry next, in another terminal:\n"
        "  make demo                             the whole loop, with real figures\n"
        "  .venv/bin/presagio status             the services\n"
        "  .venv/bin/presagio ingest FILE.csv    put readings of your own through the intake\n",
        soft_wrap=True,
    )
