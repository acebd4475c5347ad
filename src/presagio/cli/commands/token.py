"""The command that asks the API for a token."""

from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, Home, ScopeName, print_json
from presagio.jobs.api_client import fetch_token, reaching


def token(
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(
            metavar="SCOPE",
            help="What the token may do: predict, feedback, view, operate, admin; can be "
            "given several times. "
            "All by default.",
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a token for the API: curl -H "Authorization: Bearer $(presagio token)"."""
    settings = Parts(home).settings
    with reaching(settings):
        issued = fetch_token(settings, " ".join(scope or ()))
    if as_json:
        print_json(issued)
    else:
        print(issued["access_token"])
