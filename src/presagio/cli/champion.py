"""Commands on who is champion: models, promote, rollback."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from presagio.cli.output import AsJson, Home, console, print_json
from presagio.settings import load_settings

if TYPE_CHECKING:
    from presagio.registry.versions import ListedVersion
    from presagio.storage.promotions import RecordedDecision
    from presagio.training.promotion import Promoter

NOT_PROMOTED = 7
_FIGURES = ("test_f1", "test_average_precision", "test_cost_per_1000")

Why = Annotated[str, typer.Option("--why", help="Why, for the ledger of promotions.")]


def open_home_promoter(home: Path | None) -> "Promoter":
    """Open registry and ledger of the stack in a home folder."""
    from presagio.machine.spec import load_spec  # noqa: PLC0415 - heavy imports
    from presagio.training.promotion import open_promoter  # noqa: PLC0415

    settings = load_settings(home)
    return open_promoter(settings, load_spec(settings.machine_spec))


def describe_decision(recorded: "RecordedDecision") -> dict[str, Any]:
    """Return a decision as JSON."""
    return {
        "id": recorded.id,
        **asdict(recorded.decision),
        "created_at": recorded.created_at.isoformat(),
    }


def print_decision(recorded: "RecordedDecision") -> None:
    """Say what was decided, and why."""
    own = recorded.decision
    done = {
        "promotion": "is champion now",
        "rollback": "is champion again",
        "refusal": "stays challenger, refused by the gate",
    }[own.kind]
    console.print(f"{own.model} version {own.version} {done}: {escape(own.why)}.", soft_wrap=True)
    if own.kind == "refusal":
        console.print(
            f"To overrule the gate: presagio promote {own.version} --force --why TEXT",
            soft_wrap=True,
        )
    elif own.previous:
        console.print(f"Before it was version {own.previous}; back: presagio rollback --why TEXT")


def promote(
    version: Annotated[
        str | None, typer.Argument(help="The version; the one called challenger if not given.")
    ] = None,
    why: Why = "",
    force: Annotated[bool, typer.Option("--force", help="Overrule the gate; needs --why.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a model version champion, if the gate lets it.

    The gate judges it and the champion on the rows that were held out when it was trained. Exit
    status 7 says that it was refused.
    """
    from presagio.training import promotion  # noqa: PLC0415 - heavy imports

    if force and not why:
        raise typer.BadParameter("--force needs --why: it is written down")
    promoter = open_home_promoter(home)
    found = (
        promoter.registry.resolve("challenger")
        if version is None
        else promoter.registry.version(version)
    )
    recorded = promotion.promote(promoter, found, who=getpass.getuser(), why=why, force=force)
    if as_json:
        print_json(describe_decision(recorded))
    else:
        print_decision(recorded)
    if recorded.decision.kind == "refusal":
        raise typer.Exit(NOT_PROMOTED)


def rollback(
    why: Why,
    version: Annotated[
        str | None, typer.Argument(help="The version; the champion's predecessor if not given.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the version before the champion champion again."""
    from presagio.training import promotion  # noqa: PLC0415 - heavy imports

    who, promoter = getpass.getuser(), open_home_promoter(home)
    recorded = promotion.rollback(promoter, version, who=who, why=why)
    if as_json:
        print_json(describe_decision(recorded))
    else:
        print_decision(recorded)


def _as_json(listed: "ListedVersion") -> dict[str, Any]:
    return {
        **asdict(listed.version),
        "aliases": list(listed.aliases),
        "created_at": listed.created_at.isoformat(),
        "metrics": dict(listed.metrics),
        "tags": {name: value for name, value in listed.tags.items() if "presagio" in name},
    }


def _versions(found: "list[ListedVersion]") -> Table:
    table = Table("Version", "Alias", "Trained", "F1", "Average precision", "Cost of 1,000", "Data")
    for listed in found:
        figures = [listed.metrics.get(name) for name in _FIGURES]
        table.add_row(
            listed.version.version,
            ", ".join(listed.aliases),
            f"{listed.created_at.astimezone():%Y-%m-%d %H:%M}",
            *("" if value is None else f"{value:.3f}" for value in figures),
            escape(listed.tags.get("presagio.data_source", "")),
        )
    return table


def models(
    history: Annotated[
        bool, typer.Option("--history", help="Show who decided what about them, and why.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the newest model versions: aliases, figures on held-out rows, data."""
    # Nothing here trains or judges, so nothing of that is imported: 1 s instead of 7.
    from presagio.registry.reader import open_reader  # noqa: PLC0415
    from presagio.storage.database import open_database  # noqa: PLC0415
    from presagio.storage.promotions import Promotions  # noqa: PLC0415

    settings = load_settings(home)
    name = settings.model_name
    if history:
        decisions = Promotions(open_database(settings)).history(name)
        if as_json:
            for recorded in decisions:
                print_json(describe_decision(recorded))
            return
        table = Table("When", "Version", "What", "Before", "Who", "Why")
        for recorded in decisions:
            own = recorded.decision
            what = f"{own.kind}, forced" if own.forced else own.kind
            table.add_row(
                f"{recorded.created_at.astimezone():%Y-%m-%d %H:%M}", own.version, what,
                own.previous or "", escape(own.who), escape(own.why),
            )  # fmt: skip
        console.print(table)
        return
    found = open_reader(settings).listing()
    if as_json:
        for listed in found:
            print_json(_as_json(listed))
    elif found:
        console.print(_versions(found))
    else:
        console.print(f"No version of {name} is registered yet; train one: presagio train")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(models)
    app.command()(promote)
    app.command()(rollback)
