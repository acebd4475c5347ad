"""Commands on the fleets of a running deployment: add, list, remove."""

from pathlib import Path
from typing import Annotated, Any

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, Home, print_json, print_table, say, warn
from presagio.cli.tables import Column
from presagio.jobs import fleets

_COLUMNS = (
    Column("Fleet", "middle"), Column("Model"), Column("Version"), Column("Champion", "words"),
    Column("Machine spec", "middle"),
)  # fmt: skip


def add(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The machine spec, a TOML file.")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Serve one more fleet, without a restart; or another spec of one that was added.

    Its name is that of the machine spec. Files for it go below incoming/NAME/
    (presagio ingest --fleet NAME FILE), its routes stand below /fleets/NAME/.
    """
    added = fleets.add_fleet(Parts(home).settings, file)
    if as_json:
        print_json(added)
        return
    name = added["name"]
    say(f"{name} is served at {added['route']}: {_model(added)}.")
    if added["model"] == "none":
        say(
            f"Its first model: presagio train --fleet {name} --csv FILE, or send labelled files: "
            f"presagio ingest --fleet {name} FILE"
        )


def _model(fleet: dict[str, Any]) -> str:
    if fleet["model"] == "none":
        return "no model yet"
    return f"{fleet['model']} version {fleet['version']}"


def _row(fleet: dict[str, Any]) -> tuple[str, ...]:
    name = f"{fleet['name']} (default)" if fleet["default"] else fleet["name"]
    state = fleet["reason"] or ("not confirmed" if fleet["degraded"] else "confirmed")
    return name, fleet["model"], fleet["version"], state, fleet["source"]


def list_all(home: Home = None, as_json: AsJson = False) -> None:
    """List the fleets, which model answers for each, and what is wrong with those at fault."""
    found = fleets.list_fleets(Parts(home).settings)
    if as_json:
        print_json(found)
        return
    print_table(_COLUMNS, list(map(_row, found["fleets"])))
    for fault in found["faults"]:
        warn(f"{fault['name']} is not served: {fault['message']}")


def remove(
    name: Annotated[str, typer.Argument(help="Name of the fleet.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Serve a fleet no more that was added; its files, curated data and models stay."""
    removed = fleets.remove_fleet(Parts(home).settings, name)
    if as_json:
        print_json(removed)
    else:
        say(f"{name} is served no more; what it has stays where it is.")
