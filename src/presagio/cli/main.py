"""The ``presagio`` command."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from presagio import __version__
from presagio.cli import api, champion, data, demo, intake, model, stack, watching
from presagio.cli.output import console, errors
from presagio.errors import PresagioError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Presagio predicts machine failures before they happen.",
    epilog="Settings are environment variables PRESAGIO_*; docs/settings.md lists them.",
)
for group in (stack, intake, model, champion, api, watching, demo):
    group.register(app)
app.add_typer(data.app, name="data")
app.add_typer(api.app, name="account")


def _show_version(*, wanted: bool) -> None:
    if wanted:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda wanted: _show_version(wanted=wanted),
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None: ...


def main() -> None:
    """Run a command; what Presagio refuses on purpose is a message and exit status 1."""
    try:
        app()
    except PresagioError as err:
        errors.print(f"[bold red]presagio:[/] {escape(str(err))}", soft_wrap=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
