"""Commands that decide who is champion: promote, rollback."""

import getpass
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.decision_view import decision_status, describe_decision, print_decision
from presagio.cli.exit_status import leave_unless_done
from presagio.cli.output import AsJson, FleetName, Home, print_json
from presagio.jobs import promote as job

Why = Annotated[str, typer.Option("--why", help="Why, for the ledger of promotions.")]


def promote(
    version: Annotated[
        str | None, typer.Argument(help="Number of the version; by default the challenger.")
    ] = None,
    why: Why = "",
    force: Annotated[bool, typer.Option("--force", help="Overrule the gate; needs --why.")] = False,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a model version champion, if the gate lets it.

    The gate compares it with the champion on the version's held-out test set.
    """
    if force and not why:
        raise typer.BadParameter("--force needs --why: it is written down")
    parts, who = Parts(home, fleet), getpass.getuser()
    recorded = job.promote(
        parts.promoter, version, who=who, why=why, force=force, audit=parts.audit
    )  # fmt: skip
    if as_json:
        print_json(describe_decision(recorded))
    else:
        print_decision(recorded, fleet)
    leave_unless_done(decision_status(recorded))


def rollback(
    why: Why,
    version: Annotated[
        str | None,
        typer.Argument(help="Number of the version; by default the champion's predecessor."),
    ] = None,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the version before the champion champion again."""
    parts, who = Parts(home, fleet), getpass.getuser()
    recorded = job.roll_back(parts.promoter, version, who=who, why=why, audit=parts.audit)
    if as_json:
        print_json(describe_decision(recorded))
    else:
        print_decision(recorded, fleet)
