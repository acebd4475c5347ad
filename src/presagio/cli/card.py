"""The command that shows the model card of a version, without the API."""

from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.output import AsJson, Home, print_json, say
from presagio.settings import load_settings


def card(
    version: Annotated[
        str | None, typer.Argument(help="Number of the version; by default the champion.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", dir_okay=False, help="File; else home/cards/NAME-N.html."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the model card of a version as a page that stands alone; open it in any browser."""
    from presagio.inference.artifact import read_artifact  # noqa: PLC0415 - heavy imports
    from presagio.pages.model_card import card_page  # noqa: PLC0415
    from presagio.registry.reader import open_reader  # noqa: PLC0415

    settings = load_settings(home)
    reader = open_reader(settings)
    found = reader.resolve() if version is None else reader.version(version)
    artifact = read_artifact(reader.fetch(found, settings.model_cache), digest=found.digest)
    if as_json:
        print_json({"name": found.name, "version": found.version, "card": artifact.card})
        return
    path = output or settings.home / "cards" / f"{settings.model_name}-{int(found.version)}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(card_page(artifact.card), encoding="utf-8")
    say(f"Model card of {found.name} version {found.version}: {path}")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(card)
