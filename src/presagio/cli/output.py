"""What commands share: the consoles, the home option, how an error is shown."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="PRESAGIO_HOME",
        show_default="the nearest .presagio",
        help="Folder of the stack: data, logs, secrets.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def print_json(value: Any) -> None:
    """Print a value as one line of JSON on standard output."""
    print(json.dumps(value, default=str), flush=True)
