"""The command that serves the inference API."""

from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import Home
from presagio.fleet import load_fleets
from presagio.serving import worker
from presagio.serving.auth.tokens import open_authority


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes.", min=1, max=64, show_default="PRESAGIO_API_WORKERS"),
    ] = None,
    home: Home = None,
) -> None:
    """Serve the inference API until Ctrl-C; `presagio up` does so among the rest."""
    parts = Parts(home)
    settings = parts.settings
    # What would stop each worker is reported once, and here.
    load_fleets(settings).check_any()
    open_authority(settings)
    if workers is not None:
        settings = settings.model_copy(update={"api_workers": workers})
    worker.serve(settings, host=host, port=port)
