"""The ``presagio`` command."""

import sys
from typing import Annotated

import typer
from rich.text import Text

from presagio import __version__
from presagio.cli.exit_status import ExitStatus, describe_statuses, exit_status_of
from presagio.cli.index import GROUPS
from presagio.cli.lazy import LazyGroup, ListByDefault, UploadByDefault
from presagio.cli.output import errors
from presagio.errors import PresagioError

_SETTINGS = "Settings are environment variables PRESAGIO_*; docs/settings.md lists them."
_GROUP_CLASSES = {"ingest": UploadByDefault, "alarms": ListByDefault}

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Presagio predicts machine failures before they happen.",
    epilog=f"{_SETTINGS}\n\n{describe_statuses(ExitStatus)}",
)
for name, about in GROUPS.items():
    group = typer.Typer(cls=_GROUP_CLASSES.get(name, LazyGroup), no_args_is_help=True, help=about)
    app.add_typer(group, name=name)


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
