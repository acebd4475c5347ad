"""The stack on the terminal: a live table, or a line a change where there is no terminal."""

from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from presagio.cli.tables import Column
from presagio.registry.links import models_page
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
# The first one is what people want to see.
_ADDRESSES = {
    "console": "Console: which machine, why, what to do; user admin, PRESAGIO_ADMIN_PASSWORD",
    "api": "Inference API, documented at /docs: user admin, password PRESAGIO_ADMIN_PASSWORD",
    "airflow-apiserver": "Airflow: user {user}, password PRESAGIO_AIRFLOW_ADMIN_PASSWORD",
    "mlflow": "MLflow: no login on this machine",
    "s3": "S3: keys PRESAGIO_S3_ACCESS_KEY and PRESAGIO_S3_SECRET_KEY",
    "postgres": "PostgreSQL: user presagio, password PRESAGIO_DB_PASSWORD",
}


COLUMNS = (
    Column("Service"), Column("State"), Column("Address"), Column("Seconds", right=True),
    Column("Note", "words"),
)  # fmt: skip


def _in_words(service: ServiceStatus) -> str:
    return f"{service.restarts} restarts" if service.restarts else service.note


def stack_row(service: ServiceStatus) -> tuple[str, ...]:
    """Return a service as a row of a table."""
    seconds = f"{service.seconds:.1f}" if service.seconds else ""
    return (service.name, service.state, service.address, seconds, _in_words(service))


def _note(service: ServiceStatus) -> RenderableType:
    done, _, total = service.note.partition("/")
    if done.isdecimal() and total.isdecimal():
        return ProgressBar(total=float(total), completed=float(done), width=24)
    return Text(_in_words(service))


def stack_table(status: StackStatus) -> Table:
    """Draw the services of a stack."""
    table = Table(
        title=f"Presagio: {status.phase}", title_justify="left", box=box.SIMPLE_HEAD,
        pad_edge=False, show_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for column in COLUMNS:
        # Only notes may wrap; a table that is drawn anew five times a second keeps its columns.
        table.add_column(
            column.title, justify="right" if column.right else "left", no_wrap=column.fit == "keep"
        )
    for service in status.services:
        name, state, address, seconds, _ = stack_row(service)
        styled = Text(state, _COLOURS.get(state, ""))
        table.add_row(name, styled, address, seconds, _note(service))
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


_DEMO = "make demo                             the whole loop, with real results"
# The demonstration is of the default machine.
_TRAIN = ".venv/bin/presagio train --csv FILE   a model of your machine, from labelled readings"


def print_welcome(
    console: Console, status: StackStatus, layout: Layout, *, has_demo: bool = True
) -> None:
    """Print where everything is, and what to try next."""
    console.print("\n[bold green]The stack is up.[/]\n")
    addresses = {service.name: service.address for service in status.services}
    for name, about in _ADDRESSES.items():
        if name in addresses:
            shown = models_page(addresses[name]) if name == "mlflow" else addresses[name]
            console.print(f"  {shown:<24} {about.format(user=AIRFLOW_USER)}", soft_wrap=True)
    console.print(f"\nPasswords and keys: {layout.home / CREDENTIALS_FILE}", soft_wrap=True)
    console.print(
        "\nTry next, in another terminal:\n"
        f"  {_DEMO if has_demo else _TRAIN}\n"
        "  .venv/bin/presagio status             the services\n"
        "  .venv/bin/presagio ingest FILE.csv    put your readings through the intake\n",
        soft_wrap=True,
    )
