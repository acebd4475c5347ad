"""The ``presagio`` command."""

import sys
from typing import Annotated

import typer
from rich.text import Text

from presagio import __version__
from presagio.cli import api, card, champion, data, demo, intake, model, receipts, stack, watching
from presagio.cli.exit_status import document_exit_statuses, exit_status_of
from presagio.cli.output import errors
from presagio.errors import PresagioError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Presagio predicts machine failures before they happen.",
    epilog="Settings are environment variables PRESAGIO_*; docs/settings.md lists them.",
)
for group in (stack, intake, receipts, model, champion, card, api, watching, demo):
    group.register(app)
app.add_typer(data.app, name="data")
app.add_typer(api.app, name="account")
document_exit_statuses(app)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        print(__version__)
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
    """Run a command; an error is a message on standard error and an exit status, no traceback."""
    try:
        app()
    except (PresagioError, OSError) as err:
        text = str(err)
        if isinstance(err, OSError) and err.filename and err.strerror:
            text = f"{err.filename}: {err.strerror}"
        message = Text.assemble(("presagio:", "bold red"), " ", text)
        errors.print(message, soft_wrap=True)
        sys.exit(exit_status_of(err))
