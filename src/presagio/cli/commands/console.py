"""The command that serves the web console."""

from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import Home
from presagio.console import program
from presagio.fleet import load_fleets


def console(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8050,
    home: Home = None,
) -> None:
    """Serve the web console until Ctrl-C; `presagio up` does so among the rest.

    Pages for technicians: which machine fails next, why, what to do, and whether it helped. People
    sign in with their accounts of the API (presagio account add NAME --kind user --scope view).
    """
    settings = Parts(home).settings
    # What would stop the program is reported here.
    load_fleets(settings).check_any()
    program.serve(settings, host=host, port=port)
