"""Commands on who is champion: models, promote, rollback."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, Home, local_time, print_json, print_table, say, warn
from presagio.cli.tables import Column
from presagio.registry.versions import GATE_TAG
from presagio.settings import load_settings

if TYPE_CHECKING:
    from presagio.lifecycle.promotion import Promoter
    from presagio.registry.versions import ListedVersion
    from presagio.storage.promotions import RecordedDecision

_METRICS = ("test_f1", "test_average_precision", "test_cost_per_1000")

Why = Annotated[str, typer.Option("--why", help="Why, for the ledger of promotions.")]


def open_home_promoter(home: Path | None) -> "Promoter":
    """Open registry and ledger of the stack in a home folder."""
    from presagio.lifecycle.promotion import open_promoter  # noqa: PLC0415
    from presagio.machine.spec import load_spec  # noqa: PLC0415 - heavy imports

    settings = load_settings(home)
    return open_promoter(settings, load_spec(settings.machine_spec))


def describe_decision(recorded: "RecordedDecision") -> dict[str, Any]:
    """Return a decision as JSON."""
    return {"id": recorded.id, **asdict(recorded.decision), "created_at": recorded.created_at}


def print_decision(recorded: "RecordedDecision") -> None:
    """Say what was decided, and why."""
    decision = recorded.decision
    name = f"{decision.model} version {decision.version}"
    if decision.kind == "refusal":
        say(f"{name} is not promoted: {decision.why}.")
        say(f"To overrule the gate: presagio promote {decision.version} --force --why TEXT")
        return
    done = "is champion now" if decision.kind == "promotion" else "is champion again"
    if decision.forced:
        done += ", against the gate"
    say(f"{name} {done}: {decision.why}.")
    if decision.previous:
        say(f"Before it was version {decision.previous}; back: presagio rollback --why TEXT")


def promotion_status(recorded: "RecordedDecision") -> ExitStatus:
    """Return what a command ends with that asked the gate."""
    refused = recorded.decision.kind == "refusal"
    return ExitStatus.NOT_PROMOTED if refused else ExitStatus.DONE


def promote(
    version: Annotated[
        str | None, typer.Argument(help="Number of the version; by default the challenger.")
    ] = None,
    why: Why = "",
    force: Annotated[bool, typer.Option("--force", help="Overrule the gate; needs --why.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a model version champion, if the gate lets it.

    The gate compares it with the champion on the version's held-out test set.
    """
    from presagio.lifecycle import promotion  # noqa: PLC0415 - heavy imports

    if force and not why:
        raise typer.BadParameter("--force needs --why: it is written down")
    promoter = open_home_promoter(home)
    candidate = (
        promoter.registry.resolve("challenger")
        if version is None
        else promoter.registry.version(version)
    )
    recorded = promotion.promote(promoter, candidate, who=getpass.getuser(), why=why, force=force)
    if as_json:
        print_json(describe_decision(recorded))
    else:
        print_decision(recorded)
    leave_unless_done(promotion_status(recorded))


def rollback(
    why: Why,
    version: Annotated[
        str | None,
        typer.Argument(help="Number of the version; by default the champion's predecessor."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the version before the champion champion again."""
    from presagio.lifecycle import promotion  # noqa: PLC0415 - heavy imports

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
        "created_at": listed.created_at,
        "metrics": dict(listed.metrics),
        "tags": {name: value for name, value in listed.tags.items() if "presagio" in name},
    }


_VERSIONS = (
    Column("Version", right=True), Column("Alias", "words"), Column("Trained", "words"),
    Column("F1", right=True), Column("Average precision", right=True),
    Column("Cost per 1,000", right=True), Column("Gate"), Column("Data", "words"),
)  # fmt: skip
_DECISIONS = (
    Column("When", "words"), Column("Version", right=True), Column("Decision", "words"),
    Column("Before", right=True), Column("Who", "middle"), Column("Why", "words"),
)  # fmt: skip


def _version_row(listed: "ListedVersion") -> tuple[str, ...]:
    metrics = [listed.metrics.get(name) for name in _METRICS]
    return (
        listed.version.version,
        ", ".join(listed.aliases),
        local_time(listed.created_at),
        *("" if value is None else f"{value:.3f}" for value in metrics),
        listed.tags.get(GATE_TAG, ""),
        listed.tags.get("presagio.data_source", ""),
    )


def _decision_row(recorded: "RecordedDecision") -> tuple[str, ...]:
    decision = recorded.decision
    what = "not promoted" if decision.kind == "refusal" else decision.kind
    return (
        local_time(recorded.created_at),
        decision.version,
        f"{what}, forced" if decision.forced else what,
        decision.previous or "",
        decision.who,
        decision.why,
    )


def models(
    history: Annotated[
        bool, typer.Option("--history", help="List the decisions instead: what, who, why.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the newest model versions: aliases, metrics on the held-out test set, data."""
    # Nothing here trains or evaluates, so nothing of that is imported: 1 s instead of 7.
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
        else:
            print_table(_DECISIONS, list(map(_decision_row, decisions)))
        return
    versions = open_reader(settings).listing()
    if as_json:
        for listed in versions:
            print_json(_as_json(listed))
        return
    print_table(_VERSIONS, list(map(_version_row, versions)))
    if not versions:
        warn(f"No version of {name} is registered yet; train one: presagio train")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(models)
    app.command()(promote)
    app.command()(rollback)
